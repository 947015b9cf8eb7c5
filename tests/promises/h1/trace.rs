//! Where a process connected to, as the system saw it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The addresses that a trace of `connect` tells. Sockets of the local system, and the questions to name servers, are
/// none.
pub fn connections(trace: &str) -> BTreeSet<SocketAddr> {
    trace.lines().filter_map(connection).collect()
}

fn connection(line: &str) -> Option<SocketAddr> {
    let (_, call) = line.split_once("connect(")?;
    if call.split_once('>').is_some_and(|(socket, _)| socket.contains("<UDP")) {
        return None;
    }
    let port = between(call, "_port=htons(", ")")?.parse().unwrap();
    let address: IpAddr = match between(call, "sin_addr=inet_addr(\"", "\")") {
        Some(address) => address.parse().unwrap(),
        None => IpAddr::V6(between(call, "inet_pton(AF_INET6, \"", "\"")?.parse::<Ipv6Addr>().unwrap()),
    };
    Some(SocketAddr::new(address, port))
}

fn between<'t>(text: &'t str, open: &str, close: &str) -> Option<&'t str> {
    Some(text.split_once(open)?.1.split_once(close)?.0)
}

#[test]
fn h1_a_trace_of_connections_is_read() {
    let trace = r#"
1 connect(3<TCP:[1]>, {sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("127.0.0.1")}, 16) = -1 EINPROGRESS
2 connect(4<TCPv6:[2]>, {sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::1", &sin6_addr), sin6_scope_id=0}, 28) = 0
3 connect(4<UNIX-STREAM:[3]>, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1 ENOENT
4 connect(4<UDP:[4]>, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("10.255.255.53")}, 16) = 0
5 connect(7<TCP:[5]>, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("169.254.169.254")}, 16 <unfinished ...>
5 <... connect resumed>) = -1 EINPROGRESS (Operation now in progress)"#;
    let found = connections(trace);
    let expected = ["127.0.0.1:9", "[::1]:80", "169.254.169.254:443"].map(|address| address.parse().unwrap());
    assert_eq!(found, BTreeSet::from(expected));
}
