//! The sockets that clients connect with.

use std::net::SocketAddr;

use socket2::SockRef;

/// Chooses Reno for a socket that is about to connect to the loopback.
///
/// Where BBR is the default it paces with timers, which cost much CPU time and cannot help within one machine.
pub(crate) fn prefer_reno_on_loopback<S>(socket: &S, address: SocketAddr)
where
    for<'s> SockRef<'s>: From<&'s S>,
{
    #[cfg(target_os = "linux")]
    if address.ip().to_canonical().is_loopback() {
        // Every kernel has Reno. If the system forbids the choice, its default serves as well.
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
    fn reno_is_chosen_on_the_loopback_only() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let _entered = runtime.enter();
        let congestion = |address: SocketAddr| {
            let socket = TcpSocket::new_v4().unwrap();
            // Whatever the default is, it is something else now.
            let other = SockRef::from(&socket).set_tcp_congestion(b"cubic").is_ok();
            prefer_reno_on_loopback(&socket, address);
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
