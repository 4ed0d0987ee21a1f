//! What every store must do: a table of scenarios, run on each backend alone and beneath its
//! queue, and random histories, run on a backend and the model side by side.
//!
//! A later backend adds one line to `subject::all`.

#[cfg(test)]
mod counters;
#[cfg(test)]
mod guards;
#[cfg(test)]
mod paging;
#[cfg(test)]
mod places;
#[cfg(test)]
mod random;
#[cfg(test)]
mod reaping;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod revocation;
#[cfg(test)]
mod subject;
#[cfg(test)]
mod tasks;
#[cfg(test)]
mod ties;
#[cfg(test)]
mod values;
#[cfg(test)]
mod view;

#[cfg(test)]
mod everywhere {
    use crate::subject::{self, Subject};

    fn everywhere(scenario: fn(&mut dyn Subject)) {
        for make in subject::all() {
            let mut subject = make();
            println!("on {}", subject.name());
            scenario(&mut *subject);
        }
    }

    macro_rules! scenarios {
        ($($module:ident: $($name:ident),+;)+) => {
            $(mod $module {
                $(#[test]
                fn $name() {
                    super::everywhere(crate::$module::$name);
                })+
            })+
        };
    }

    scenarios! {
        guards:
            each_holds_and_fails_with_its_own_refusal,
            a_refused_commit_changes_nothing_at_all,
            all_guards_come_before_any_change,
            later_commits_of_a_group_see_earlier_ones,
            the_registry_has_a_version_of_its_own;
        revocation:
            first_revoked_then_issued_is_refused,
            first_issued_then_revoked_is_covered,
            a_rule_covers_the_newest_iat_although_the_clock_went_back,
            rules_are_numbered_without_gaps_and_published;
        tasks:
            live_until_the_deadline_and_not_at_it,
            over_with_any_ancestor,
            over_by_rule,
            live_as_far_as_its_group_has_come,
            ended_once,
            a_repeated_start_is_the_same_start,
            children_are_counted_within_a_group,
            a_key_is_the_starters;
        counters:
            count_until_their_minute_has_passed,
            limit_within_a_group,
            live_tasks_until_they_end_or_their_minute_has_passed,
            what_lies_beneath_counts_above,
            a_place_is_given_back_within_a_group;
        reaping:
            removes_in_bounded_steps_what_has_expired_and_nothing_else,
            sums_up_what_no_entry_tells,
            keeps_an_ended_task_until_its_deadline,
            keeps_a_rule_until_it_can_match_nothing,
            keeps_a_key_that_a_later_task_uses,
            removes_enrolments_and_voids_them;
        paging:
            tasks_credentials_and_children,
            the_outbox_is_archived_in_order;
        ties:
            are_made_once_and_read_by_deadline,
            last_until_the_end_of_the_task;
        places:
            are_leased_once,
            are_kept_until_their_hour_has_passed;
        restart:
            keeps_everything,
            keeps_the_newest_seq_without_its_rule;
    }
}
