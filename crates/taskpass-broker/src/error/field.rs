//! Which reason a malformed field has.

/// Some fields have a reason of their own, because callers branch on them.
pub(super) fn field_reason(field: &str) -> &'static str {
    match field {
        "purpose" => "INVALID_PURPOSE",
        "reason" => "INVALID_REASON",
        "selector" => "INVALID_SELECTOR",
        "key" => "INVALID_KEY",
        "key_encryption_key" => "WRONG_KEK",
        "name" => "INVALID_NAME",
        "uri" | "target" => "INVALID_TARGET",
        "valid_until" => "INVALID_VALID_UNTIL",
        "from" | "until" => "INVALID_PERIOD",
        "idempotency_key" => "INVALID_IDEMPOTENCY_KEY",
        "agent" => "INVALID_AGENT",
        _ => "INVALID_FIELD",
    }
}
