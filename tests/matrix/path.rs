//! The ways to a credential: who asks, how it proves itself, and what for.

/// How the caller proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// An identity of ours, over mTLS.
    Identity,
    /// A token of another issuer.
    Federated,
    /// A certificate of another trust domain.
    Svid,
    /// What the kernel says of a process, which is the command line.
    Unix,
    /// The OAuth front, with an identity.
    OauthIdentity,
    /// The OAuth front, with a registered key.
    OauthKey,
}

/// What for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// A token of the task.
    Token,
    /// A token of the task for a target that is only observed.
    Observed,
    /// Two tokens of the task in one call.
    Batch,
    /// A certificate of the task.
    Certificate,
    /// A token bound to a certificate that the task has had.
    Bound,
    /// The next pair of a certificate and a token that the client renews by itself.
    Renewal,
    /// A token of a task that is started for it, beneath none.
    Start,
    /// A token of a task that is started for it beneath the task.
    Child,
    /// A token of a task that stands beneath the task already.
    Beneath,
    /// The helper's token of a task that the agent hands on to it.
    HandOn,
    /// The helper's token of a task that was handed on to it before.
    Lent,
    /// The next identity certificate.
    Identity,
    /// OAuth's `client_credentials`: a task, and a token of it.
    Credentials,
    /// OAuth's token exchange: a token for one of the same task.
    Exchange,
}

/// A way.
pub(crate) type Path = (By, What);

pub(crate) const PATHS: [Path; 26] = [
    // First: it goes on in the background meanwhile.
    (By::Identity, What::Renewal),
    (By::Identity, What::Token),
    (By::Identity, What::Observed),
    (By::Identity, What::Batch),
    (By::Identity, What::Certificate),
    (By::Identity, What::Bound),
    (By::Identity, What::Start),
    (By::Identity, What::Child),
    (By::Identity, What::Beneath),
    (By::Identity, What::HandOn),
    (By::Identity, What::Lent),
    (By::Identity, What::Identity),
    (By::Federated, What::Token),
    (By::Federated, What::Certificate),
    (By::Federated, What::Start),
    (By::Federated, What::Child),
    (By::Svid, What::Token),
    (By::Svid, What::Certificate),
    (By::Svid, What::Start),
    (By::Svid, What::Child),
    (By::Unix, What::Token),
    (By::Unix, What::Start),
    (By::OauthIdentity, What::Credentials),
    (By::OauthIdentity, What::Exchange),
    (By::OauthKey, What::Credentials),
    (By::OauthKey, What::Exchange),
];
