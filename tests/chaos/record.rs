//! Numbered records: task, number, and a filling that reveals damage.

use crate::random::mix;

const HEAD: usize = 10;
const LONGEST_FILLING: u64 = 150;

/// Returns the value of a task's record with this number.
pub(crate) fn value(task: u16, number: u64) -> Vec<u8> {
    let (length, byte) = filling(task, number);
    let mut value = Vec::with_capacity(HEAD + length);
    value.extend(task.to_be_bytes());
    value.extend(number.to_be_bytes());
    value.resize(HEAD + length, byte);
    value
}

/// Returns the task and the number; `None` if no task sent this value.
pub(crate) fn parse(value: &[u8]) -> Option<(u16, u64)> {
    let (task, rest) = value.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    let (task, number) = (u16::from_be_bytes(*task), u64::from_be_bytes(*number));
    let (length, byte) = filling(task, number);
    (rest.len() == length && rest.iter().all(|found| *found == byte)).then_some((task, number))
}

fn filling(task: u16, number: u64) -> (usize, u8) {
    let drawn = mix(number ^ (u64::from(task) << 48));
    ((drawn % LONGEST_FILLING) as usize, (drawn >> 56) as u8)
}

#[test]
fn a_value_is_decoded_and_a_damaged_one_is_not() {
    for (task, number) in [(0, 0), (7, 1), (u16::MAX, u64::MAX), (3, 1 << 40)] {
        let mut value = value(task, number);
        assert_eq!(parse(&value), Some((task, number)));
        value.push(0);
        assert_eq!(parse(&value), None);
        assert_eq!(parse(&value[..HEAD - 1]), None);
    }
}
