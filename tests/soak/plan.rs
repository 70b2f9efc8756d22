//! The parameters of a run, and what happens when: drawn in advance, from the seed.

use std::env;
use std::fmt;
use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::random::Random;

/// The length of a round, in minutes.
const ROUND: u64 = 10;
/// The duration of the short mode's schedule.
const SHORT: Duration = Duration::from_secs(56);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Below 10, the short mode.
    pub(crate) minutes: u64,
    pub(crate) seed: u64,
    /// The offered records per second.
    pub(crate) rate: u64,
}

/// How a route is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Loss {
    /// The brokers' end of the link is down: packets of both directions are dropped, and nobody is told.
    Silent,
    /// The client's namespace has no route to the brokers: its system refuses to send.
    Unreachable,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The load pauses, and when nothing is in flight, the memory is measured.
    Measure,
    LoseRoute(Loss, Duration),
    /// These nodes are restarted cleanly, one after the other.
    Restart(Vec<usize>),
    /// The disk of a log directory is full for at least this time.
    FillDisk(Duration),
    /// Brokers and clients get new certificates.
    ReplaceCertificates,
}

impl Plan {
    /// Reads the arguments `--minutes`, `--seed` and `--rate`, and for those that are missing the environment.
    pub(crate) fn new(arguments: &[String]) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self {
            minutes: parameter(arguments, "minutes", 1),
            seed: parameter(arguments, "seed", now),
            rate: parameter(arguments, "rate", 400),
        }
    }

    pub(crate) const fn is_short(&self) -> bool {
        self.minutes < ROUND
    }

    /// Returns how long brokers accept an authentication (`connections.max.reauth.ms`).
    pub(crate) const fn session(&self) -> Duration {
        Duration::from_secs(if self.is_short() { 10 } else { 60 })
    }

    /// Returns the events in order, with the time since the start of the load before which none begins.
    pub(crate) fn schedule(&self, nodes: usize) -> Vec<(Duration, Event)> {
        let mut random = Random::new(self.seed, 1);
        if self.is_short() {
            let at = Duration::from_secs;
            let restarted = random.below(nodes as u64) as usize;
            return vec![
                (at(5), Event::Measure),
                (at(6), Event::ReplaceCertificates),
                (at(9), Event::LoseRoute(Loss::Silent, length(&mut random, 5_500..7_000))),
                (at(18), Event::ReplaceCertificates),
                (at(20), Event::Restart(vec![restarted])),
                (at(34), Event::FillDisk(length(&mut random, 2_000..3_000))),
                (at(46), Event::LoseRoute(Loss::Unreachable, length(&mut random, 5_500..6_000))),
                (SHORT, Event::Measure),
            ];
        }
        let rounds = self.minutes / ROUND;
        let mut schedule = Vec::new();
        for round in 0..rounds {
            let begin = Duration::from_secs(60 * ROUND * round);
            let mut add = |seconds: u64, event| schedule.push((begin + Duration::from_secs(seconds), event));
            // The first one when all connections are established.
            add(if round == 0 { 30 } else { 0 }, Event::Measure);
            if [rounds / 3, 2 * rounds / 3].contains(&round) {
                add(35, Event::ReplaceCertificates);
            }
            for about in [55, 100, 145, 190] {
                add(about + random.below(15), lose_route(&mut random));
            }
            add(235, Event::Restart((0..nodes).collect()));
            for about in [350, 390, 430] {
                add(about + random.below(15), lose_route(&mut random));
            }
            add(475, Event::FillDisk(length(&mut random, 5_000..20_000)));
        }
        schedule.push((Duration::from_secs(60 * self.minutes), Event::Measure));
        schedule
    }
}

fn lose_route(random: &mut Random) -> Event {
    let how = if random.below(2) == 0 { Loss::Silent } else { Loss::Unreachable };
    // Shorter than every timeout, or longer than the `delivery.timeout.ms` of half of the producers.
    let range = if random.below(2) == 0 { 300..4_000 } else { 5_500..12_000 };
    Event::LoseRoute(how, length(random, range))
}

fn length(random: &mut Random, milliseconds: Range<u64>) -> Duration {
    Duration::from_millis(milliseconds.start + random.below(milliseconds.end - milliseconds.start))
}

fn parameter(arguments: &[String], name: &str, default: u64) -> u64 {
    let variable = format!("KAFKA_BATCH_SOAK_{}", name.to_uppercase());
    let argument = arguments.iter().position(|argument| *argument == format!("--{name}"));
    let text = match argument {
        Some(position) => arguments.get(position + 1).cloned().unwrap_or_default(),
        None => match env::var(&variable) {
            Ok(text) => text,
            Err(_) => return default,
        },
    };
    text.parse().unwrap_or_else(|error| panic!("--{name} or {variable} is {text:?}: {error}; write a whole number"))
}

/// Formatted as arguments that repeat the run.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { minutes, seed, rate } = self;
        write!(f, "--minutes {minutes} --seed {seed} --rate {rate}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(minutes: u64, seed: u64) -> Vec<(Duration, Event)> {
        Plan { minutes, seed, rate: 1 }.schedule(3)
    }

    #[test]
    fn every_schedule_is_in_order_and_has_each_event() {
        for (minutes, seed) in [(1, 1), (10, 2), (30, 3), (60, 4), (60, 5)] {
            let schedule = schedule(minutes, seed);
            assert!(schedule.is_sorted_by_key(|(at, _)| *at), "{schedule:?}");
            let count = |is: fn(&Event) -> bool| schedule.iter().filter(|(_, event)| is(event)).count();
            assert!(count(|event| matches!(event, Event::LoseRoute(Loss::Silent, _))) > 0, "{schedule:?}");
            assert!(count(|event| matches!(event, Event::LoseRoute(Loss::Unreachable, _))) > 0, "{schedule:?}");
            assert!(count(|event| matches!(event, Event::Restart(_))) > 0);
            assert!(count(|event| matches!(event, Event::FillDisk(_))) > 0);
            assert_eq!(schedule.last().map(|(_, event)| event), Some(&Event::Measure));
            if minutes != 10 {
                assert_eq!(count(|event| *event == Event::ReplaceCertificates), 2, "{schedule:?}");
            }
        }
    }

    #[test]
    fn an_hour_has_seven_measurements_and_the_same_seed_draws_the_same() {
        let hour = schedule(60, 7);
        assert_eq!(hour, schedule(60, 7));
        assert_ne!(hour, schedule(60, 8));
        let measured: Vec<u64> =
            hour.iter().filter(|(_, event)| *event == Event::Measure).map(|(at, _)| at.as_secs() / 60).collect();
        assert_eq!(measured, [0, 10, 20, 30, 40, 50, 60]);
    }

    #[test]
    fn arguments_are_read() {
        let arguments = ["--ignored", "--minutes", "60", "--seed", "7"].map(str::to_owned);
        let plan = Plan::new(&arguments);
        assert_eq!((plan.minutes, plan.seed, plan.is_short()), (60, 7, false));
        assert!(plan.to_string().starts_with("--minutes 60 --seed 7 --rate "));
    }
}
