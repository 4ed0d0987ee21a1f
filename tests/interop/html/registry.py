"""A registry that pages have to bear: many rows, words without a place to break, markup in every text."""

from datetime import datetime, timedelta, timezone

MANY = 120
HOSTILE = "</td><script>alert(1)</script><img src=http://127.0.0.1:9/x onerror=alert(1)> \\\"'& reconciles"
LONG = "reconciles" * 20

print('[[owner]]\nname = "platform-engineering-emea"\ncontact = "<b>platform</b>@example.org"\n')
for number in range(MANY):
    purpose = (HOSTILE, LONG, "sends the reminders of the week to whoever is late")[number % 3]
    print("[[agent]]")
    print(f'name = "agent-of-the-accounts-receivable-team-{number:03}"')
    print('owner = "platform-engineering-emea"')
    print(f'purpose = "{purpose}"')
    print(f'stage = "{("read-only", "bounded", "autonomous")[number % 3]}"')
    print('scopes = ["https://ledger.example#invoices:read", "https://ledger.example#invoices:write"]')
    until = datetime.now(timezone.utc) + timedelta(days=30 + number)
    print(f'valid_until = "{until:%Y-%m-%dT%H:%M:%SZ}"\n')
