//! The producer's machine against brokers, drivers and a clock that do whatever the fuzzer likes.
#![no_main]

use kafka_batch_fuzz::machine::{Step, run};

libfuzzer_sys::fuzz_target!(|steps: Vec<Step>| run(&steps));
