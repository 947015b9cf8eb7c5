//! One total order: commit order is revision order, without gaps.
