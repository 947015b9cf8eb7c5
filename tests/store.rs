//! The store: one named list of tests, run against every engine, through the public interface alone.
//!
//! What only one engine has (a lock file, sessions of several processes, TLS) is tested below, with the reason.

use modelward::store::Engine;

use crate::support::database::Database;

mod log;
mod postgres;
mod resources;
mod samples;
mod schema;
mod secrets;
mod sqlite;
mod status;
mod workers;
mod writing;

/// Runs each test on a database of its own, once per engine.
macro_rules! on_every_engine {
    ($($module:ident { $($name:ident),+ $(,)? })+) => {
        mod on_sqlite {
            $(mod $module { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let database = super::super::Database::new(super::super::Engine::Sqlite).await;
                    super::super::$module::$name(database).await;
                }
            )+ })+
        }
        mod on_postgres {
            $(mod $module { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let database = super::super::Database::new(super::super::Engine::Postgres).await;
                    super::super::$module::$name(database).await;
                }
            )+ })+
        }
    };
}

on_every_engine! {
    resources {
        resources_come_back_with_every_field_set,
        resources_come_back_with_hardly_a_field_set,
        an_update_replaces_every_column,
        a_binding_may_leave_a_model_that_goes_in_the_same_write,
        a_value_that_no_resource_has_is_named_by_table_and_column,
    }
    writing {
        only_the_net_effect_of_several_changes_is_written,
        names_are_swapped_in_one_set,
        a_soft_delete_keeps_the_row_and_frees_the_name,
        a_purge_removes_the_rows_and_the_ciphertexts,
        an_access_touches_no_row,
        thousands_of_rows_are_written_at_once,
        thousands_of_rows_come_in_pages_of_one_moment,
        a_violated_constraint_is_told_and_spoils_the_transaction,
        a_dropped_transaction_writes_nothing,
        a_second_writer_waits_for_the_first,
        the_keyring_changes_with_its_resource,
    }
    log {
        an_empty_database_has_no_head,
        whole_revisions_are_read_in_order,
        a_commit_is_found_by_its_revision,
        an_answer_is_kept_for_its_identity_and_request_id,
        an_answer_without_a_change_leaves_the_head,
        old_answers_are_forgotten,
    }
    secrets {
        versions_are_sealed_expired_and_destroyed,
        what_is_sealed_survives_a_destruction_of_all_others,
        a_secret_of_a_credential_that_is_gone_again_is_not_written,
        secrets_under_other_keys_are_listed_and_counted,
    }
    status {
        values_of_every_kind_come_back,
        pieces_of_one_resource_are_written_apart,
        only_what_is_newer_is_read,
        of_several_values_the_last_one_counts,
        health_is_folded_over_the_stored_row,
        a_dropped_batch_writes_nothing,
        a_secret_is_rewrapped_only_while_it_is_the_same,
        orphans_are_swept,
    }
    workers {
        the_first_to_initialise_wins,
        a_lease_has_one_owner_until_it_ends,
        the_epoch_rises_when_the_owner_changes,
        a_batch_knows_whether_its_lease_is_held,
        replicas_that_are_silent_are_not_listed,
        wrapped_keys_are_replaced,
    }
    schema {
        migrations_go_up_and_down_and_up_again_with_data,
        a_single_version_can_be_asked_for,
        a_newer_schema_is_refused,
        an_unknown_version_is_refused,
    }
}
