//! What this program takes from the computer: a clock, random numbers, a link, and a way to write text. On a device these are a
//! timer, a source of randomness, a network card and a serial port. Here the C library stands for them.

use core::ffi::{c_int, c_short, c_uint, c_ulong, c_void};
use core::fmt;
use core::time::Duration;

/// The link: a socket whose datagrams are IP packets.
const LINK: c_int = 0;
const TEXT: c_int = 1;

#[repr(C)]
struct TimeSpec {
    seconds: i64,
    nanos: i64,
}

#[repr(C)]
struct PollFd {
    fd: c_int,
    events: c_short,
    revents: c_short,
}

#[link(name = "c")]
unsafe extern "C" {
    fn abort() -> !;
    fn clock_gettime(clock: c_int, time: *mut TimeSpec) -> c_int;
    fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize;
    fn poll(descriptors: *mut PollFd, count: c_ulong, millis: c_int) -> c_int;
    fn recv(fd: c_int, buffer: *mut c_void, length: usize, flags: c_int) -> isize;
    fn send(fd: c_int, buffer: *const c_void, length: usize, flags: c_int) -> isize;
    fn write(fd: c_int, buffer: *const c_void, length: usize) -> isize;
}

const CLOCK_REALTIME: c_int = 0;
const CLOCK_MONOTONIC: c_int = 1;
const MSG_DONTWAIT: c_int = 0x40;
const POLLIN: c_short = 1;

fn clock(which: c_int) -> Duration {
    let mut time = TimeSpec { seconds: 0, nanos: 0 };
    // SAFETY: it writes to `time` only.
    unsafe { clock_gettime(which, &raw mut time) };
    Duration::new(time.seconds as u64, time.nanos as u32)
}

/// Returns the time since some moment.
pub fn monotonic() -> Duration {
    clock(CLOCK_MONOTONIC)
}

/// Returns the time since the Unix epoch.
pub fn wall() -> Duration {
    clock(CLOCK_REALTIME)
}

pub fn random() -> u64 {
    let mut bytes = [0; 8];
    // SAFETY: it writes 8 bytes at most.
    unsafe { getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    u64::from_ne_bytes(bytes)
}

/// Takes a packet from the link, if there is one. Returns its length.
pub fn receive(buffer: &mut [u8]) -> Option<usize> {
    // SAFETY: it writes into the buffer only.
    let length = unsafe { recv(LINK, buffer.as_mut_ptr().cast(), buffer.len(), MSG_DONTWAIT) };
    usize::try_from(length).ok().filter(|&length| length > 0)
}

/// Sends a packet. It is lost if the link is full: TCP sends it again.
pub fn transmit(packet: &[u8]) {
    // SAFETY: it reads the packet only.
    unsafe { send(LINK, packet.as_ptr().cast(), packet.len(), MSG_DONTWAIT) };
}

/// Waits for a packet, at most this long.
pub fn wait(limit: Option<Duration>) {
    let millis = limit.map_or(-1, |limit| limit.as_micros().div_ceil(1_000).min(1 << 30) as c_int);
    let mut link = PollFd { fd: LINK, events: POLLIN, revents: 0 };
    // SAFETY: there is one descriptor.
    unsafe { poll(&raw mut link, 1, millis) };
}

/// Writes text.
pub struct Text;

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: it reads the text only.
        unsafe { write(TEXT, text.as_ptr().cast(), text.len()) };
        Ok(())
    }
}

pub fn halt() -> ! {
    // SAFETY: it does not return.
    unsafe { abort() }
}
