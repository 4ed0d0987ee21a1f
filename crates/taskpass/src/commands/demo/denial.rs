//! A request beyond what policy allows: refused, explained, and nothing issued.

use taskpass_api::v1;
use taskpass_client::{AgentError, Certificate, Refused, Task};

use super::house::{BEYOND, House, TARGET};
use super::step::{Answered as _, Expecting as _, Outcome, Unmet, ensure};

/// The policy that bounds the agent's stage.
const POLICY: &str = "stage-read-only";

/// Step: a request is denied. Gives the decision's id.
pub(super) async fn deny(
    house: &House<'_>,
    task: &Task,
    certificate: &Certificate,
) -> Outcome<String> {
    let before = issued(house, task).await?;
    let answer = task.bound_token(TARGET, [BEYOND], None, certificate).await;
    let refused = match answer.refused("policy denies a scope that moves money")? {
        AgentError::Refused(refused) => refused,
        other => return Err(Unmet::new("the broker refuses", other.to_string())),
    };
    ensure(refused.is("POLICY_DENIED"), "POLICY_DENIED", &refused)?;
    let explained = Explained::read(&refused)?;
    ensure(
        explained.policies.split(',').any(|policy| policy == POLICY),
        format!("the policy {POLICY} is named"),
        &explained.policies,
    )?;
    ensure(
        explained.asked.contains(BEYOND) && !explained.allowed.contains(BEYOND),
        format!("{BEYOND} is among what was asked and not among what is allowed"),
        format!("asked {}, allowed {}", explained.asked, explained.allowed),
    )?;
    let after = issued(house, task).await?;
    ensure(
        before == after,
        format!("{before} credentials under the task, as before"),
        after,
    )?;
    let told = vec![
        format!("POLICY_DENIED by {}", explained.policies),
        format!("asked {}", explained.asked),
        format!(
            "allowed {}",
            if explained.allowed.is_empty() {
                "nothing of it"
            } else {
                &explained.allowed
            }
        ),
        format!("decision {}; nothing was issued", explained.decision),
    ];
    Ok((explained.decision, told))
}

/// What a denial says.
struct Explained {
    asked: String,
    allowed: String,
    policies: String,
    decision: String,
}

impl Explained {
    fn read(refused: &Refused) -> Result<Self, Unmet> {
        let fact = |name: &str| {
            refused.metadata.get(name).cloned().ok_or_else(|| {
                let found: Vec<&String> = refused.metadata.keys().collect();
                Unmet::new(format!("the denial says `{name}`"), format!("{found:?}"))
            })
        };
        Ok(Self {
            asked: fact("asked")?,
            allowed: fact("allowed")?,
            policies: fact("policies")?,
            decision: fact("decision_id")?,
        })
    }
}

/// How many credentials the broker has issued under a task.
async fn issued(house: &House<'_>, task: &Task) -> Result<usize, Unmet> {
    let request = v1::ListCredentialsRequest {
        task_id: task.id().to_string(),
        page: None,
    };
    let listed = house
        .operator
        .credentials()
        .list(request)
        .await
        .answered("the operator may list the task's credentials")?;
    Ok(listed.credentials.len())
}
