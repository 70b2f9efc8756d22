//! A list of operations on a batch, beside its reference model.
#![no_main]

use kafka_batch_fuzz::operations::{Checked, Setup, Step};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Setup, Vec<Step>)| {
    let (setup, steps) = input;
    let Some(mut checked) = Checked::new(&setup) else { return };
    for step in &steps {
        checked.take(step);
    }
});
