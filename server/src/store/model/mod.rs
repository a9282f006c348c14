//! The store against a model: random operations of several identities, in groups of random length, some of which fail
//! in their middle. After each group everything that can be read has to be what a few maps in memory say.
//!
//! `SEALIFT_MODEL_CASES` is the number of cases and `SEALIFT_MODEL_SEED` the beginning of their random numbers; without
//! them the test is short and always the same. `just model CASES` runs more.

mod operation;
mod real;
mod simple;
mod verify;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use tokio::runtime::{Builder, Runtime};

use self::operation::{AfterGroup, ModelGroup};
use self::real::Real;
use self::simple::Simple;

/// Cases that are enough to find what was ever found within a few seconds.
const CASES: u32 = 48;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}: give a number")))
}

/// Does all groups to both. The error says where they differ.
async fn run(groups: &[ModelGroup], operations: &AtomicU64) -> Result<(), String> {
    let mut real = Real::new();
    let mut simple = Simple::default();
    for (number, group) in groups.iter().enumerate() {
        let here = |fault: String| format!("group {number}: {fault}");
        let outcomes = real.apply(group, &mut simple).await.map_err(here)?;
        operations.fetch_add(group.operations.len() as u64, Ordering::Relaxed);
        simple.judge(group, &outcomes).map_err(here)?;
        real.forget_failed(&simple);
        verify::all(&mut real, &simple).await.map_err(here)?;
        match group.after {
            AfterGroup::Nothing => {}
            AfterGroup::Collect => real.collect(&mut simple).await.map_err(here)?,
            AfterGroup::Reopen => real.reopen().await.map_err(here)?,
            AfterGroup::Backup => real.back_up(&simple).map_err(here)?,
            AfterGroup::Damage(which) => real.damage(which, &mut simple).map_err(here)?,
        }
        if group.after != AfterGroup::Nothing {
            verify::all(&mut real, &simple)
                .await
                .map_err(|fault| here(format!("{:?}: {fault}", group.after)))?;
        }
    }
    real.collect(&mut simple).await?;
    verify::all(&mut real, &simple).await.map_err(|fault| format!("at the end: {fault}"))
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn the_store_does_what_a_few_maps_would() {
    let cases = setting("SEALIFT_MODEL_CASES").map_or(CASES, |cases| u32::try_from(cases).unwrap());
    let seed = setting("SEALIFT_MODEL_SEED").unwrap_or(1);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 4096, ..Config::default() };
    let seed: Vec<u8> = seed.to_le_bytes().into_iter().cycle().take(32).collect();
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let (runtime, operations, begun) = (runtime(), AtomicU64::new(0), Instant::now());
    let outcome = runner.run(&operation::groups(), |groups| {
        runtime.block_on(run(&groups, &operations)).map_err(TestCaseError::fail)
    });
    let (done, elapsed) = (operations.load(Ordering::Relaxed), begun.elapsed());
    if let Err(error) = outcome {
        panic!("after {done} operations in {elapsed:?}: {error}");
    }
    // Shown by `--nocapture`.
    #[allow(clippy::print_stdout)]
    {
        println!("{done} operations in {cases} cases, {:.1} s: no difference", elapsed.as_secs_f64());
    }
}
