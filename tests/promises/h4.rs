//! Status churn is not configuration churn.
