//! Lives in which every option of the table may have any value, played until a rule breaks. `make sim-long` plays ten
//! million steps, and a life that breaks a rule is told in its shortest form.

use super::plan::Plan;
use super::*;
use std::ops::RangeInclusive;

/// So many lives from seed 1 on have this trace: another one is another behaviour, or another table of options.
const RECORDED: (u64, u64) = (400, 0xdde2f48f42b54ddb);

/// How many lives that break a rule are told; the others would mostly tell the same.
const TOLD: u64 = 3;

pub(super) fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Plays lives, those of so many seeds, and tells their trace. `CIRCUS_SIM_SEED` and `CIRCUS_SIM_LIVES` repeat one or
/// make it more; `CIRCUS_SIM_STEPS` goes on until there were so many steps, which are events with all that follows from
/// them at once; after each the rules are checked.
pub(super) fn search(
    lives: u64,
    play: &dyn Fn(&Plan) -> World,
    plan: &dyn Fn(u64) -> Plan,
) -> (RangeInclusive<u64>, u64) {
    let first = number("CIRCUS_SIM_SEED").unwrap_or(1);
    let (lives, wanted) = (number("CIRCUS_SIM_LIVES").unwrap_or(lives), number("CIRCUS_SIM_STEPS"));
    let (mut all, mut steps, mut broken, mut seed) = (trace::Trace::default(), 0, 0, first);
    let told = number("CIRCUS_SIM_TOLD").unwrap_or(TOLD);
    while wanted.map_or(seed < first + lives, |wanted| steps < wanted) && broken < told {
        match shrink::try_plan(seed, &plan(seed), play) {
            Ok(world) => {
                steps += world.steps;
                all.fold(&world.trace.0);
            }
            Err(told) => {
                println!("{told}\n");
                broken += 1;
            }
        }
        seed += 1;
    }
    println!("seeds {first} to {}: {steps} steps, {:#x}", seed - 1, all.0);
    assert!(broken == 0, "lives break a rule: see above");
    (first..=seed - 1, all.0)
}

#[test]
fn lives_with_any_options_keep_the_rules() {
    let (seeds, trace) = search(RECORDED.0, &Plan::play, &Plan::random);
    assert!(seeds != (1..=RECORDED.0) || trace == RECORDED.1, "it was {:#x}", RECORDED.1);
}
