//! A SOCKS5 proxy, on threads of its own, for producers under any runtime. It is written after RFC 1928 and 1929, independently of the
//! client.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// The login that it takes.
pub(crate) const USERNAME: &str = "bob";
pub(crate) const PASSWORD: &str = "hunter2";

/// A proxy that connects every name to one address, or refuses. It accepts nothing more once it is dropped.
pub(crate) struct Proxy {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    /// What it connects to.
    to: SocketAddr,
    /// The code of its reply. 0: connected.
    reply: u8,
    /// The hosts and ports that it was asked for.
    asked: Mutex<Vec<(String, u16)>>,
    is_dropped: AtomicBool,
}

impl Proxy {
    /// Starts a proxy at this address of this host.
    pub(crate) fn start(at: Ipv4Addr, to: SocketAddr, reply: u8) -> Self {
        let listener = TcpListener::bind((at, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { to, reply, asked: Mutex::default(), is_dropped: AtomicBool::new(false) });
        let of_threads = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if of_threads.is_dropped.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(client), shared) = (client, Arc::clone(&of_threads)) else { return };
                thread::spawn(move || shared.serve(client));
            }
        });
        Self { address, shared }
    }

    /// Returns the hosts and ports that it was asked for.
    pub(crate) fn asked(&self) -> Vec<(String, u16)> {
        self.shared.asked.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_dropped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address)); // so that the thread looks
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let [_, count] = read(&mut client)?;
        if !read_vec(&mut client, count)?.contains(&2) {
            return client.write_all(&[5, 0xff]);
        }
        client.write_all(&[5, 2])?;
        let [_, length] = read(&mut client)?;
        let username = read_vec(&mut client, length)?;
        let [length] = read(&mut client)?;
        let password = read_vec(&mut client, length)?;
        if (&username[..], &password[..]) != (USERNAME.as_bytes(), PASSWORD.as_bytes()) {
            return client.write_all(&[1, 1]);
        }
        client.write_all(&[1, 0])?;
        let [_, _, _, kind] = read(&mut client)?;
        let host = if kind == 1 {
            Ipv4Addr::from(read::<4>(&mut client)?).to_string()
        } else {
            let [length] = read(&mut client)?;
            String::from_utf8(read_vec(&mut client, length)?).unwrap()
        };
        let port = u16::from_be_bytes(read(&mut client)?);
        self.asked.lock().unwrap().push((host, port));
        client.write_all(&[5, self.reply, 0, 3, 4, b'h', b'o', b's', b't', 0, 0])?;
        if self.reply == 0 {
            let broker = TcpStream::connect(self.to)?;
            broker.set_nodelay(true)?;
            let (mut from_client, mut to_broker) = (client.try_clone()?, broker.try_clone()?);
            thread::spawn(move || copy(&mut from_client, &mut to_broker));
            let (mut from_broker, mut to_client) = (broker, client);
            copy(&mut from_broker, &mut to_client);
        }
        Ok(())
    }
}

/// Copies until one end is closed, and then closes the other.
fn copy(from: &mut TcpStream, to: &mut TcpStream) {
    let _ = io::copy(from, to);
    let _ = to.shutdown(Shutdown::Both);
}

fn read<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_vec(from: &mut impl Read, length: u8) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length.into()];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}
