//! An enrolment on disk.

use taskpass_core::enrolment::Enrolment;
use taskpass_core::identity::Principal;

use crate::record::{instant, optional};

/// An [`Enrolment`].
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EnrolmentRecord {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(uint64, tag = "3")]
    created_at: u64,
    #[prost(uint64, tag = "4")]
    expires_at: u64,
    #[prost(uint64, optional, tag = "5")]
    used_at: Option<u64>,
}

impl From<&Enrolment> for EnrolmentRecord {
    fn from(enrolment: &Enrolment) -> Self {
        Self {
            kind: enrolment.principal.kind().to_owned(),
            name: enrolment.principal.name().to_owned(),
            created_at: enrolment.created_at.millis(),
            expires_at: enrolment.expires_at.millis(),
            used_at: enrolment.used_at.map(taskpass_core::Timestamp::millis),
        }
    }
}

impl EnrolmentRecord {
    /// The enrolment.
    pub(crate) fn into_enrolment(self) -> Option<Enrolment> {
        Some(Enrolment {
            principal: Principal::from_parts(&self.kind, &self.name)?,
            created_at: instant(self.created_at)?,
            expires_at: instant(self.expires_at)?,
            used_at: optional(self.used_at, instant)?,
        })
    }
}
