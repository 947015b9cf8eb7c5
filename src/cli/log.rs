//! `modelward log`: which lines a running server writes.

use clap::Subcommand;

use super::client::refusal;
use super::output;
use super::token::Call;
use crate::config;
use crate::proto::v1::{SetLogFilterRequest, SetLogFilterResponse};
use crate::wire;

/// Has a running server write more of its log, or less, for a while
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  modelward log set debug --for 5m
  modelward log set info,modelward::health=trace
  modelward log reset
In a cluster each pod has a log of its own:
  kubectl exec POD -- /usr/bin/modelward log set debug")]
pub enum Log {
    /// Sets the filter: error, warn, info, debug, trace, or a list such as info,modelward::health=debug
    Set {
        /// The filter, as the setting log.level has it
        #[arg(value_name = "FILTER")]
        filter: String,
        /// For how long; then the log is again as the settings say
        #[arg(long = "for", value_name = "TIME", default_value = "10m", value_parser = config::duration)]
        time: std::time::Duration,
        #[command(flatten)]
        call: Call,
    },
    /// Goes back to the filter of the settings at once
    Reset {
        #[command(flatten)]
        call: Call,
    },
}

impl Log {
    pub async fn run(self) -> anyhow::Result<()> {
        let (request, call) = match self {
            Self::Set { filter, time, call } => {
                (SetLogFilterRequest { filter, duration: Some(wire::duration::write(time)) }, call)
            }
            Self::Reset { call } => (SetLogFilterRequest::default(), call),
        };
        let mut client = call.connect().await?;
        let request = client.request(request);
        let answer = client.admin.set_log_filter(request).await.map_err(|status| refusal(&status))?.into_inner();
        Ok(output::data(&shown(&answer))?)
    }
}

fn shown(answer: &SetLogFilterResponse) -> String {
    let SetLogFilterResponse { filter, configured_filter, expire_time } = answer;
    let until = expire_time.and_then(|time| jiff::Timestamp::new(time.seconds, 0).ok());
    match until {
        Some(until) => format!("{filter} until {until}, then {configured_filter}\n"),
        None => format!("{filter}\n"),
    }
}
