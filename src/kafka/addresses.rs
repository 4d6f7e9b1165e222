//! Parses librdkafka's messages about connections: which broker refused the connection, and whether a broker
//! refused the credentials.

/// librdkafka's message for every failed `SaslAuthenticateRequest`.
const LOGIN_FAILED: &str = ": SASL authentication error: ";

/// What follows [`LOGIN_FAILED`] if the request was not answered: then no broker has refused the credentials.
const NOT_ANSWERED: [&str; 2] =
    ["SaslAuthenticateRequest failed: ", "SaslAuthenticateResponse parsing failed: "];

/// Whether librdkafka's message says that a broker refused the credentials.
pub(super) fn credentials_refused(complaint: &str) -> bool {
    let answer = complaint.split_once(LOGIN_FAILED).map(|(_, answer)| answer);
    answer.is_some_and(|answer| !NOT_ANSWERED.iter().any(|start| answer.starts_with(start)))
}

/// A hint about `advertised.listeners`, if the connection that failed went to an address that is not in
/// `bootstrap`: the client got such an address from a broker. Empty otherwise.
pub(super) fn advertised_hint(complaint: &str, bootstrap: &str) -> String {
    const PORT: &str = ":9092";
    let Some(address) = address(complaint) else {
        return String::new();
    };
    let configured = |server: &str| {
        let server = without_scheme(server.trim());
        let has_port = server.rfind(':').is_some_and(|colon| !server[colon..].contains(']'));
        if has_port { server == address } else { address.strip_suffix(PORT) == Some(server) }
    };
    if bootstrap.split(',').any(configured) {
        return String::new();
    }
    format!(
        "; {address} is not one of bootstrap.servers: a broker advertises it (advertised.listeners), \
         and it must be reachable from here"
    )
}

/// The `host:port` at the start of a message, as in `sasl_ssl://host:9092/1: Connect to …`.
fn address(complaint: &str) -> Option<&str> {
    let sentence = complaint.trim_start().trim_start_matches('(');
    let (name, _) = sentence.split_once(": ")?;
    let (address, _node) = without_scheme(name).rsplit_once('/')?;
    let (host, port) = address.rsplit_once(':')?;
    (!host.is_empty() && port.parse::<u16>().is_ok()).then_some(address)
}

fn without_scheme(address: &str) -> &str {
    address.split_once("://").map_or(address, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_brokers_refusal_counts_as_refused_credentials() {
        for (complaint, refused) in [
            (
                " (sasl_plaintext://b:9092/bootstrap: SASL authentication error: Authentication \
                 failed: Invalid username or password)",
                true,
            ),
            (
                " (sasl_ssl://b:9092/1: SASL authentication error: SaslAuthenticateRequest failed: \
                 Local: Broker transport failure)",
                false,
            ),
            (" (b:9092/1: Connect to ipv4#127.0.0.1:9092 failed: Connection refused)", false),
            (" (Failed to acquire SASL OAUTHBEARER token: time-out)", false),
            ("", false),
        ] {
            assert_eq!(credentials_refused(complaint), refused, "{complaint}");
        }
    }

    #[test]
    fn an_address_that_a_broker_advertises_is_named() {
        let refused = |name: &str| format!(" ({name}: Connect to ipv4#10.0.0.1:1 failed: refused)");
        for (name, bootstrap, hint) in [
            ("inside:9092/1", "outside:9092", Some("inside:9092")),
            ("sasl_ssl://inside:9093/1", "outside:9092", Some("inside:9093")),
            ("b:9094/2", "b:9092,b:9093", Some("b:9094")),
            ("[::1]:9094/2", "[::1]:9092", Some("[::1]:9094")),
            ("[::1]:9092/2", "[::1]", None),
            ("b:9092/bootstrap", "a:9092, b:9092", None),
            ("sasl_ssl://b:9092/2", "SASL_SSL://b:9092", None),
            ("b:9092/2", "b", None),
            ("GroupCoordinator", "b", None),
        ] {
            let found = advertised_hint(&refused(name), bootstrap);
            let want =
                hint.map_or(String::new(), |hint| format!("; {hint} is not one of bootstrap"));
            assert_eq!(found.is_empty(), hint.is_none(), "{name}: {found}");
            assert!(found.starts_with(&want), "{name}: {found}");
        }
        assert_eq!(advertised_hint("", "b:9092"), "");
    }
}
