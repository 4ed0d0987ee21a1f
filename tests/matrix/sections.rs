//! The configuration of the matrix's broker: whom it believes, and which agents that makes of them.

use std::path::Path;

use crate::state::State;

const KEYS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/attestation/keys/jwks.json"
);
pub(crate) const TRUST_DOMAIN: &str = "prod.example";

/// Where what it names lies.
pub(crate) struct Places<'a> {
    /// The folder of policies.
    pub(crate) policies: &'a Path,
    /// The authorities of the other trust domain.
    pub(crate) bundle: &'a Path,
    /// The Unix socket.
    pub(crate) socket: &'a Path,
    /// A program of each agent's name.
    pub(crate) programs: &'a Path,
}

/// Everything beside addresses and keys.
pub(crate) fn sections(places: &Places<'_>) -> String {
    let Places {
        policies,
        bundle,
        socket,
        programs,
    } = places;
    let uid = rustix::process::getuid().as_raw();
    let issuer = format!(
        "[policy]\ndir = \"{}\"\n\
         [[federation.jwt]]\nname = \"cluster\"\nissuer = \"https://cluster.example\"\n\
         audience = \"taskpass\"\nalgorithms = [\"RS256\"]\njwks_file = \"{KEYS}\"\n",
        policies.display()
    );
    let domain = format!(
        "[[federation.spiffe]]\ntrust_domain = \"{TRUST_DOMAIN}\"\nbundle_file = \"{}\"\n",
        bundle.display()
    );
    let socket = format!(
        "[unix]\nlisten = \"{}\"\nmode = \"0600\"\n",
        socket.display()
    );
    let subjects = rules("federation.jwt", |state| {
        format!("claims = {{ sub = \"{}\" }}", state.agent())
    });
    let ids = rules("federation.spiffe", |state| {
        format!("spiffe_id = \"{}\"", state.spiffe_id())
    });
    let processes = rules("unix", |state| {
        let program = programs.join(state.agent());
        format!("uid = {uid}\nexecutable = \"{}\"", program.display())
    });
    [issuer, subjects, domain, ids, socket, processes].concat()
}

/// One rule for each agent.
fn rules(section: &str, of: impl Fn(State) -> String) -> String {
    let rule = |state: State| {
        let agent = state.agent();
        format!("[[{section}.rule]]\nagent = \"{agent}\"\n{}\n", of(state))
    };
    State::ALL.map(rule).concat()
}
