//! The servers that a URL names.

use std::net::IpAddr;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

const DEFAULT_PORT: u16 = 5432;

/// Where the servers are, without a password.
pub(super) fn address(config: &Config) -> String {
    let hosts = config.get_hosts().iter().enumerate().map(|(index, host)| match host {
        Host::Tcp(name) => format!("{name}:{}", port(config, index)),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    });
    let hosts: Vec<_> = hosts.collect();
    format!("postgres://{}/{}", hosts.join(","), config.get_dbname().unwrap_or_default())
}

/// The same settings for each server alone.
pub(super) fn each(config: &Config) -> Vec<Config> {
    let (hosts, addresses) = (config.get_hosts(), config.get_hostaddrs());
    if hosts.len().max(addresses.len()) <= 1 {
        return vec![config.clone()];
    }
    let one = |index| alone(config, hosts.get(index), addresses.get(index).copied(), port(config, index));
    (0..hosts.len().max(addresses.len())).map(one).collect()
}

/// One port may stand for all servers.
fn port(config: &Config, index: usize) -> u16 {
    let ports = config.get_ports();
    ports.get(index).or(ports.first()).copied().unwrap_or(DEFAULT_PORT)
}

/// The driver cannot take a server out of its settings, so they are put together anew.
fn alone(config: &Config, host: Option<&Host>, address: Option<IpAddr>, port: u16) -> Config {
    let mut one = Config::new();
    match host {
        Some(Host::Tcp(name)) => drop(one.host(name)),
        #[cfg(unix)]
        Some(Host::Unix(path)) => drop(one.host_path(path)),
        None => {}
    }
    address.map(|address| one.hostaddr(address));
    one.port(port);
    config.get_user().map(|user| one.user(user));
    config.get_password().map(|password| one.password(password));
    config.get_dbname().map(|name| one.dbname(name));
    config.get_options().map(|options| one.options(options));
    config.get_application_name().map(|name| one.application_name(name));
    config.get_connect_timeout().map(|timeout| one.connect_timeout(*timeout));
    config.get_tcp_user_timeout().map(|timeout| one.tcp_user_timeout(*timeout));
    config.get_keepalives_interval().map(|interval| one.keepalives_interval(interval));
    config.get_keepalives_retries().map(|retries| one.keepalives_retries(retries));
    one.keepalives(config.get_keepalives()).keepalives_idle(config.get_keepalives_idle());
    one.ssl_mode(config.get_ssl_mode()).ssl_negotiation(config.get_ssl_negotiation());
    one.channel_binding(config.get_channel_binding()).target_session_attrs(config.get_target_session_attrs());
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_has_all_settings_but_the_other_servers() {
        let url = "postgres://me:secret@a:1,b:2/config?application_name=x&options=-c%20geqo%3Doff&channel_binding=require&\
                   target_session_attrs=read-write&keepalives=0&keepalives_idle=7&sslmode=require&sslnegotiation=direct";
        let config: Config = url.parse().unwrap();
        let alone: Vec<Config> =
            ["a:1", "b:2"].iter().map(|host| url.replace("a:1,b:2", host).parse().unwrap()).collect();
        assert_eq!(each(&config), alone);
        assert_eq!(address(&config), "postgres://a:1,b:2/config");
    }

    #[test]
    fn one_port_serves_for_all() {
        let config: Config = "host=a,b port=7 dbname=d".parse().unwrap();
        assert_eq!(address(&config), "postgres://a:7,b:7/d");
        let ports: Vec<_> = each(&config).iter().map(|one| one.get_ports().to_vec()).collect();
        assert_eq!(ports, [[7], [7]]);
    }
}
