//! `AdminService.SetLogFilter`: what one process writes to its log, for a while.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Services;
use crate::domain::text::Text;
use crate::domain::{CallContext, Error, Result, Violations};
use crate::proto::v1;
use crate::telemetry::LogError;
use crate::wire;

const FILTER: Text = Text::optional(500);
const TIMES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);
const TIME: Duration = Duration::from_mins(10);

impl Services {
    pub(super) fn change_log_filter(
        &self,
        call: &CallContext,
        message: v1::SetLogFilterRequest,
    ) -> Result<v1::SetLogFilterResponse> {
        let v1::SetLogFilterRequest { filter, duration } = message;
        let mut violations = Violations::default();
        let time = duration.map_or(Some(TIME), |time| wire::duration::input("duration", Some(time), &mut violations));
        if time.is_some_and(|time| !TIMES.contains(&time)) {
            violations.add("duration", "must be 1 second to 24 hours");
        }
        FILTER.check("filter", &filter, &mut violations);
        violations.into_result()?;
        let refused = |error: LogError| Error::field("filter", error.to_string());
        let (configured_filter, actor) = (self.log.configured().to_owned(), call.caller.name.as_str());
        if filter.is_empty() {
            self.log.reset().map_err(refused)?;
            tracing::warn!(actor, filter = configured_filter, "the filter of the log was changed");
            let filter = configured_filter.clone();
            return Ok(v1::SetLogFilterResponse { filter, configured_filter, expire_time: None });
        }
        let time = time.unwrap_or(TIME);
        self.log.set(&filter, time).map_err(refused)?;
        // Also where the new filter leaves out what is less than an error.
        tracing::error!(actor, filter, seconds = time.as_secs(), "the filter of the log was changed");
        let expire_time = Some(wire::time::write(self.reads.now().after(time)));
        Ok(v1::SetLogFilterResponse { filter, configured_filter, expire_time })
    }
}
