//! The tables as diesel sees them, for both engines at once.
//!
//! The SQL types carry the physical type of each engine, so that one set of queries serves both. Written by hand;
//! the migrations are the truth, and the storage tests run every column on either engine.

/// SQL types with a physical form per engine.
pub mod sql_types {
    use diesel::sql_types::SqlType;

    /// `uuid`, or 16 bytes in a BLOB.
    #[derive(Debug, Clone, Copy, Default, diesel::query_builder::QueryId, SqlType)]
    #[diesel(postgres_type(oid = 2950, array_oid = 2951), sqlite_type(name = "Binary"))]
    pub struct Id;

    /// `timestamptz`, or microseconds since 1970 in an INTEGER.
    #[derive(Debug, Clone, Copy, Default, diesel::query_builder::QueryId, SqlType)]
    #[diesel(postgres_type(oid = 1184, array_oid = 1185), sqlite_type(name = "Long"))]
    pub struct Ts;

    /// `json`, or TEXT. Not `jsonb`: it rewrites numbers and refuses the character U+0000, and what is read must be
    /// what was written.
    #[derive(Debug, Clone, Copy, Default, diesel::query_builder::QueryId, SqlType)]
    #[diesel(postgres_type(oid = 114, array_oid = 199), sqlite_type(name = "Text"))]
    pub struct Json;
}

/// Declares tables with our own SQL types in scope.
macro_rules! tables {
    ($($name:ident ($($key:ident),+) { $($column:ident -> $type:ty,)+ })+) => {
        $(diesel::table! {
            use diesel::sql_types::*;
            use super::sql_types::{Id, Json, Ts};

            $name ($($key),+) { $($column -> $type,)+ }
        })+
    };
}

tables! {
    providers (id) {
        id -> Id,
        revision -> BigInt,
        create_time -> Ts,
        update_time -> Ts,
        created_by -> Text,
        updated_by -> Text,
        labels -> Json,
        name -> Text,
        name_key -> Text,
        kind -> Text,
        description -> Text,
        is_active -> Bool,
        sync_enabled -> Bool,
        sync_interval_ns -> BigInt,
        delete_time -> Nullable<Ts>,
        purge_time -> Nullable<Ts>,
    }

    endpoints (id) {
        id -> Id,
        provider_id -> Id,
        revision -> BigInt,
        create_time -> Ts,
        update_time -> Ts,
        created_by -> Text,
        updated_by -> Text,
        labels -> Json,
        name -> Text,
        name_key -> Text,
        base_url -> Text,
        api_version -> Text,
        region -> Text,
        connect_timeout_ns -> BigInt,
        read_timeout_ns -> BigInt,
        retry_max_attempts -> Integer,
        retry_initial_backoff_ns -> BigInt,
        retry_max_backoff_ns -> BigInt,
        is_default -> Bool,
        is_active -> Bool,
        priority -> Integer,
        weight -> Integer,
        check_enabled -> Bool,
        check_interval_ns -> BigInt,
        check_timeout_ns -> BigInt,
        check_unhealthy_threshold -> Integer,
        check_healthy_threshold -> Integer,
        check_degraded_latency_ns -> BigInt,
        check_path -> Text,
    }

    credentials (id) {
        id -> Id,
        provider_id -> Id,
        revision -> BigInt,
        create_time -> Ts,
        update_time -> Ts,
        created_by -> Text,
        updated_by -> Text,
        labels -> Json,
        alias -> Text,
        description -> Text,
        hint -> Text,
        fingerprint -> Text,
        secret_version -> BigInt,
        allowed_hosts -> Json,
        allowed_hosts_explicit -> Bool,
        expire_time -> Nullable<Ts>,
        quota_limit -> Nullable<BigInt>,
        quota_unit -> Nullable<Text>,
        quota_period -> Nullable<Text>,
        is_active -> Bool,
        revoke_time -> Nullable<Ts>,
        rotate_time -> Nullable<Ts>,
        previous_secret_expire_time -> Nullable<Ts>,
    }

    credential_secrets (credential_id, version) {
        credential_id -> Id,
        version -> BigInt,
        master_key_id -> Text,
        wrapped_key -> Binary,
        ciphertext -> Binary,
        create_time -> Ts,
        expire_time -> Nullable<Ts>,
        status_revision -> BigInt,
    }

    models (id) {
        id -> Id,
        provider_id -> Id,
        revision -> BigInt,
        create_time -> Ts,
        update_time -> Ts,
        created_by -> Text,
        updated_by -> Text,
        labels -> Json,
        model_id -> Text,
        name -> Text,
        description -> Text,
        version -> Text,
        model_type -> Text,
        context_window -> Nullable<BigInt>,
        max_output_tokens -> Nullable<BigInt>,
        currency -> Nullable<Text>,
        input_per_1k_nanos -> Nullable<BigInt>,
        output_per_1k_nanos -> Nullable<BigInt>,
        capabilities -> Json,
        recommended_uses -> Json,
        default_parameters -> Nullable<Json>,
        is_active -> Bool,
        status -> Text,
        source -> Text,
        pinned_fields -> Json,
        field_sources -> Json,
        is_default -> Bool,
    }

    bindings (id) {
        id -> Id,
        revision -> BigInt,
        create_time -> Ts,
        update_time -> Ts,
        created_by -> Text,
        updated_by -> Text,
        labels -> Json,
        consumer -> Text,
        purpose -> Text,
        model_id -> Nullable<Id>,
        provider_id -> Nullable<Id>,
        parameters -> Nullable<Json>,
    }

    tokens (id) {
        id -> Id,
        revision -> BigInt,
        name -> Text,
        roles -> Json,
        create_time -> Ts,
        created_by -> Text,
        expire_time -> Nullable<Ts>,
        revoke_time -> Nullable<Ts>,
        secret_hash -> Binary,
    }

    cluster (singleton) {
        singleton -> Integer,
        cluster_id -> Id,
        create_time -> Ts,
        active_key_id -> Text,
        revision -> BigInt,
        update_time -> Ts,
        updated_by -> Text,
    }

    keyring (purpose) {
        purpose -> Text,
        master_key_id -> Text,
        wrapped -> Binary,
    }

    changes (revision, ordinal) {
        revision -> BigInt,
        ordinal -> BigInt,
        hash -> Binary,
        payload -> Binary,
        resource_kind -> Text,
        resource_id -> Id,
        operation -> Text,
        actor -> Text,
        rpc -> Text,
        request_id -> Text,
        time -> Ts,
    }

    revision_counter (singleton) {
        singleton -> Integer,
        value -> BigInt,
        head_hash -> Binary,
    }

    log_anchor (singleton) {
        singleton -> Integer,
        revision -> BigInt,
        hash -> Binary,
        seal -> Binary,
    }

    request_ids (identity, request_id) {
        identity -> Text,
        request_id -> Text,
        payload_hash -> Binary,
        answer -> Binary,
        revision -> BigInt,
        time -> Ts,
    }

    status_counter (singleton) {
        singleton -> Integer,
        value -> BigInt,
    }

    endpoint_status (endpoint_id) {
        endpoint_id -> Id,
        status -> Text,
        cause -> Text,
        latency_ns -> Nullable<BigInt>,
        last_check_time -> Nullable<Ts>,
        last_transition_time -> Nullable<Ts>,
        consecutive_failures -> BigInt,
        consecutive_successes -> BigInt,
        message -> Text,
        http_status -> Nullable<Integer>,
        status_revision -> BigInt,
    }

    credential_status (credential_id) {
        credential_id -> Id,
        validation_status -> Nullable<Text>,
        validation_cause -> Nullable<Text>,
        validation_message -> Nullable<Text>,
        validation_time -> Nullable<Ts>,
        validation_secret_version -> Nullable<BigInt>,
        usage_day_start -> Nullable<Ts>,
        usage_day_requests -> Nullable<BigInt>,
        usage_day_tokens -> Nullable<BigInt>,
        usage_month_start -> Nullable<Ts>,
        usage_month_requests -> Nullable<BigInt>,
        usage_month_tokens -> Nullable<BigInt>,
        usage_total_requests -> Nullable<BigInt>,
        usage_total_failures -> Nullable<BigInt>,
        usage_total_tokens -> Nullable<BigInt>,
        usage_last_use_time -> Nullable<Ts>,
        status_revision -> BigInt,
    }

    model_status (model_id) {
        model_id -> Id,
        availability_status -> Nullable<Text>,
        availability_cause -> Nullable<Text>,
        availability_latency_ns -> Nullable<BigInt>,
        availability_message -> Nullable<Text>,
        availability_test_time -> Nullable<Ts>,
        usage_total_requests -> Nullable<BigInt>,
        usage_total_failures -> Nullable<BigInt>,
        usage_total_input_tokens -> Nullable<BigInt>,
        usage_total_output_tokens -> Nullable<BigInt>,
        usage_last_use_time -> Nullable<Ts>,
        status_revision -> BigInt,
    }

    provider_status (provider_id) {
        provider_id -> Id,
        sync_time -> Ts,
        sync_result -> Text,
        sync_message -> Text,
        sync_added -> BigInt,
        sync_updated -> BigInt,
        sync_deprecated -> BigInt,
        sync_restored -> BigInt,
        sync_unchanged -> BigInt,
        status_revision -> BigInt,
    }

    token_status (token_id) {
        token_id -> Id,
        last_use_time -> Ts,
        status_revision -> BigInt,
    }

    leases (name) {
        name -> Text,
        owner -> Text,
        epoch -> BigInt,
        expire_time -> Ts,
    }

    watchers (watch_id) {
        watch_id -> Id,
        replica_id -> Text,
        client -> Text,
        since -> Ts,
        acknowledged_revision -> BigInt,
    }

    replicas (replica_id) {
        replica_id -> Text,
        readable_key_ids -> Json,
        used_key_ids -> Nullable<Json>,
        applied_revision -> BigInt,
        heartbeat_time -> Ts,
    }
}
