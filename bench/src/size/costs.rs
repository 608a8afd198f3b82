//! What was measured at one length of the lane.

/// The costs at one length; microseconds where nothing else is said.
#[derive(Debug, Clone)]
pub(super) struct Costs {
    /// How many wait.
    pub(super) waiting: u64,
    /// To add a job.
    pub(super) enqueue: f64,
    /// To claim a job and to settle it.
    pub(super) decide: f64,
    /// To tell a place from memory.
    pub(super) place: f64,
    /// To ask Redis for it.
    pub(super) rank: f64,
    /// To leave.
    pub(super) leave: f64,
    /// To Redis and back, for nothing.
    pub(super) ping: f64,
    /// Bytes in Redis for each waiting job.
    pub(super) bytes: f64,
}

/// One of the costs, by name.
pub(super) struct Cost {
    /// In the table.
    pub(super) name: &'static str,
    /// In the picture, for what is drawn there.
    pub(super) label: Option<&'static str>,
    /// Which it is.
    pub(super) of: fn(&Costs) -> f64,
}

/// All of them, in the order in which they are told.
pub(super) const ALL: [Cost; 7] = [
    Cost { name: "enqueue, 100 in a call (µs per job)", label: Some("enqueue"), of: |costs| costs.enqueue },
    Cost {
        name: "claim and settle, a batch of 100 (µs per job)",
        label: Some("claim and settle"),
        of: |costs| costs.decide,
    },
    Cost { name: "leave, one job (µs)", label: Some("leave"), of: |costs| costs.leave },
    Cost {
        name: "place, from a gateway's memory (µs)",
        label: Some("place, memory"),
        of: |costs| costs.place,
    },
    Cost {
        name: "place, by ZRANK, for comparison (µs)",
        label: Some("place, ZRANK"),
        of: |costs| costs.rank,
    },
    Cost { name: "to Redis and back, PING (µs)", label: None, of: |costs| costs.ping },
    Cost { name: "memory in Redis (bytes per waiting job)", label: None, of: |costs| costs.bytes },
];

impl Cost {
    /// How many times the cost at the shortest lane that at the longest is; `None` where there is only one length.
    pub(super) fn growth(&self, all: &[Costs]) -> Option<f64> {
        let [first, .., last] = all else { return None };
        let (least, most) = ((self.of)(first), (self.of)(last));
        (least > 0.0).then(|| most / least)
    }
}
