//! The sockets that connections go over.

use std::net::SocketAddr;

use socket2::SockRef;

/// Sets up a socket that is about to be connected to `address`, or that listens there.
///
/// Nothing is congested within one machine, but where BBR is the default, it would pace what is sent by timers, which take a
/// tenth of all CPU time of a large transfer. A connection that has begun with it stays paced whatever is set later.
pub fn prepare<S>(socket: &S, address: SocketAddr)
where
    for<'s> SockRef<'s>: From<&'s S>,
{
    #[cfg(target_os = "linux")]
    if address.ip().to_canonical().is_loopback() {
        // Reno is part of every kernel; should it be forbidden, so be it.
        let _ = SockRef::from(socket).set_tcp_congestion(b"reno");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (socket, address);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use tokio::net::TcpSocket;

    use super::*;

    #[test]
    fn reno_is_for_what_stays_within_one_machine() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let _entered = runtime.enter();
        let congestion = |address: SocketAddr| {
            let socket = TcpSocket::new_v4().unwrap();
            // Whatever the default is, it is something else now.
            let other = SockRef::from(&socket).set_tcp_congestion(b"cubic").is_ok();
            prepare(&socket, address);
            let name = SockRef::from(&socket).tcp_congestion().unwrap();
            (other, String::from_utf8(name.split(|byte| *byte == 0).next().unwrap().to_vec()).unwrap())
        };
        for near in [
            Ipv4Addr::LOCALHOST.into(),
            Ipv6Addr::LOCALHOST.into(),
            Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(),
        ] {
            assert_eq!(congestion(SocketAddr::new(near, 8888)).1, "reno", "{near}");
        }
        let (other, name) = congestion("192.0.2.1:8888".parse().unwrap());
        assert!(!other || name == "cubic", "{name}");
    }
}
