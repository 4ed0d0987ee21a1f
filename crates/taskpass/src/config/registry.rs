//! `[registry]`: what changes of the registry ask for.

use std::collections::BTreeSet;

use serde::Deserialize;
use taskpass_broker::{ChangeRules, PromotionRule};
use taskpass_core::promotion::SecondOperator;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Registry {
    promotion: Option<String>,
    #[serde(default)]
    second_operator: Vec<String>,
}

impl Registry {
    pub(super) fn rules(&self) -> Result<ChangeRules, String> {
        let promotion = match self.promotion.as_deref() {
            None | Some("evidence") => PromotionRule::Evidence,
            Some("open") => PromotionRule::Open,
            Some(other) => {
                return Err(format!(
                    "registry.promotion: `evidence` or `open`, not `{other}`"
                ));
            }
        };
        let mut second_operator = BTreeSet::new();
        for word in &self.second_operator {
            let what: SecondOperator = word
                .parse()
                .map_err(|error| format!("registry.second_operator: `{word}`: {error}"))?;
            second_operator.insert(what);
        }
        Ok(ChangeRules {
            promotion,
            second_operator,
        })
    }
}
