//! What the store promises: one list of tests, run on every database that it supports.
//!
//! The folders are those of `src/store`. A promise is an `async fn(&FreshStore)` in the file of its subject and a line
//! in [`every_promise`]; the compiler reports a forgotten line as unused. It is written against the public `Store`, and
//! looks behind it only with plain `SELECT`s ([`setup::fresh_store::FreshStore::rows`]). To support a new database: a
//! folder like `sqlite` that says how to open an empty store.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod contacts;
mod conversations;
mod database;
mod inbound;
mod operations;
mod outbound;
mod people;
mod queue;
mod setup;
mod sqlite;

/// Runs each promise as a test of its own, on a store that `$fresh` makes.
#[macro_export]
macro_rules! every_promise {
    ($fresh:path) => {
        $crate::promises! { $fresh, inbound::receive:
            a_message_delivered_twice_is_stored_once_and_leads_to_one_turn,
            fifty_deliveries_of_one_message_at_once_store_it_once,
            a_message_is_stored_with_all_that_belongs_to_it,
            a_message_is_stored_with_all_that_belongs_to_it_or_not_at_all,
            the_same_id_on_another_channel_is_another_message,
            a_contact_is_known_by_phone_or_by_business_scoped_id,
            a_contact_has_one_conversation_on_each_of_our_numbers,
            the_answer_goes_where_the_latest_message_came_from,
        }
        $crate::promises! { $fresh, operations::admin_sessions:
            a_session_ends_when_nobody_uses_it_and_in_any_case_at_its_limit,
            a_remembered_device_stays_signed_in_for_thirty_days,
            a_new_password_ends_every_session_of_the_account,
            a_session_is_ended_by_its_own_account_only,
            ended_sessions_are_deleted_and_others_stay,
            a_restored_backup_signs_nobody_in,
        }
        $crate::promises! { $fresh, people::erase:
            an_erased_person_stands_in_no_table,
            a_stop_and_a_block_outlive_the_erasure_of_the_person,
            a_stop_of_an_erased_person_is_known_by_each_of_their_addresses,
            a_start_or_an_unblock_counts_for_every_address_of_an_erased_person,
            a_message_from_before_the_erasure_is_not_stored_again,
            work_that_ran_for_an_erased_person_writes_nothing_back,
            a_late_status_does_not_bring_an_erased_person_into_the_log,
            an_erasure_frees_no_id_for_another,
            a_budget_is_not_charged_for_an_erased_person,
            a_restored_backup_does_not_bring_an_erased_person_back,
            the_messages_of_an_earlier_owner_of_a_number_stay,
        }
        $crate::promises! { $fresh, queue::turns:
            a_turn_waits_for_more_of_a_burst,
            messages_join_the_open_turn,
            messages_wait_in_one_open_turn_while_another_is_active,
            a_waiting_turn_falls_due_after_what_is_left_of_its_merge_window,
            turns_never_overlap_and_run_in_order,
            a_failed_attempt_is_made_again_and_counted,
            a_claim_given_back_is_not_counted,
            a_stale_worker_changes_nothing_of_a_turn,
            a_reply_is_stored_once_with_its_parts,
            an_apology_ends_the_turn_dead_and_is_no_part_of_the_history,
            a_turn_that_is_given_up_is_dead_once_the_apology_is_sent,
            a_claim_takes_no_more_than_it_is_asked_for,
            a_turn_that_is_due_beside_an_active_one_of_its_conversation_holds_up_no_other,
            a_keyword_that_waited_for_a_turn_which_a_takeover_ended_is_answered,
            a_conversation_is_not_deleted_before_each_of_its_turns_has_an_outcome,
            turn_ids_are_never_reused,
        }
        $crate::promises! { $fresh, outbound::parts:
            parts_go_out_one_at_a_time_and_in_order,
            a_part_waits_until_the_one_before_is_handed_on_or_for_three_seconds,
            a_part_that_is_settled_by_its_callback_lets_the_next_one_go,
            a_late_status_does_not_hurry_a_part_that_waits_for_another_reason,
            parts_that_are_due_are_claimed_before_turns,
            a_part_of_which_nothing_was_created_is_posted_again,
            a_part_is_given_up_after_a_hundred_attempts_and_the_conversation_goes_on,
            a_part_that_cannot_be_sent_ends_its_turn_and_frees_the_next,
            a_part_that_is_too_long_goes_out_in_halves,
            parts_are_halved_again_and_in_the_middle,
            a_reply_in_ten_parts_is_not_cut_further,
            a_part_with_the_provider_id_of_another_is_looked_up,
            a_stale_worker_changes_nothing_of_a_part,
            conversations_do_not_wait_for_each_other,
        }
        $crate::promises! { $fresh, outbound::reconcile:
            an_unknown_part_is_never_posted_and_holds_up_its_conversation,
            an_unknown_part_that_is_found_is_sent,
            an_unknown_part_absent_five_times_is_posted_again,
            an_unknown_part_absent_five_times_is_held_where_the_operator_chose_so,
            a_message_that_belongs_to_another_part_does_not_settle_an_unknown_one,
            a_lookup_that_could_not_be_made_is_no_evidence,
            a_part_that_cannot_be_looked_up_is_held_after_23_hours_and_the_conversation_goes_on,
            one_worker_at_a_time_looks_up_a_part,
            a_lookup_of_a_settled_part_changes_nothing,
        }
        $crate::promises! { $fresh, outbound::delivery_status:
            a_delivery_status_moves_forward_only,
            a_status_that_is_already_known_is_no_news,
            a_message_that_was_not_delivered_marks_its_turn_until_it_is,
            a_reference_ties_a_part_that_is_being_sent_to_its_id,
            a_reference_ties_an_unknown_part_to_its_id,
            a_reference_ties_a_part_about_to_be_posted_again_to_its_id,
            a_status_of_a_message_that_is_not_ours_changes_nothing,
            a_reference_to_a_part_with_another_id_changes_nothing,
            a_late_status_of_a_held_part_does_not_wake_a_turn_that_waits_for_another,
        }
        $crate::promises! { $fresh, queue::deadlines:
            a_turn_is_claimed_up_to_its_deadline_and_expires_at_it,
            overdue_turns_are_ended_without_a_claim,
            a_part_past_its_deadline_is_not_sent_and_its_turn_expires,
            a_new_message_moves_the_deadline,
            a_template_opens_a_conversation_again_once_until_the_contact_writes,
        }
        $crate::promises! { $fresh, conversations::several_numbers:
            a_conversation_remembers_the_account_that_it_came_through_last,
            a_turn_given_up_at_a_start_is_apologized_for_in_the_numbers_own_text,
            each_number_has_its_own_template_or_none,
            an_account_may_report_the_status_of_its_own_messages_only,
            a_number_moved_to_another_account_posts_through_the_new_one,
            each_number_has_its_own_catch_up_position,
        }
        $crate::promises! { $fresh, queue::recovery:
            a_turn_that_was_running_is_answered_again,
            a_part_that_was_being_sent_is_looked_up,
            a_lookup_that_was_being_made_is_made_again,
            a_turn_that_ends_the_process_three_times_is_dead_and_the_conversation_goes_on,
            a_turn_that_was_running_beside_others_is_not_dead_at_its_third_death,
            a_turn_that_was_running_at_seven_deaths_is_dead_whoever_ran_beside_it,
            an_open_turn_whose_predecessor_is_gone_is_freed,
            a_start_after_a_clean_end_changes_nothing,
        }
        $crate::promises! { $fresh, conversations::window:
            the_window_is_the_last_messages_up_to_the_turn_oldest_first,
            an_answer_stands_before_what_was_said_while_it_was_made,
            text_comes_back_to_the_letter,
            the_revision_rises_with_every_change_of_the_history,
        }
        $crate::promises! { $fresh, contacts::merge:
            two_contacts_that_are_one_person_are_merged_with_what_was_said_to_either,
            a_merge_keeps_the_latest_of_two_open_conversations_and_answers_both,
            a_person_who_answers_one_of_two_conversations_answers_the_one_that_goes_on,
            an_opt_out_or_block_of_one_of_two_merged_contacts_holds_for_both,
            parts_for_a_contact_who_turns_out_to_be_blocked_are_held_back,
            the_usage_of_two_contacts_is_added_when_they_are_merged,
            a_call_that_runs_during_a_merge_is_charged_to_the_merged_contact,
            two_contacts_of_two_accounts_are_merged_by_the_number_that_both_have,
        }
        $crate::promises! { $fresh, contacts::addresses:
            a_contact_first_seen_by_phone_keeps_everything_when_a_user_id_comes_with_it,
            a_contact_first_seen_by_user_id_is_known_by_the_phone_that_comes_later,
            a_phone_number_with_another_user_id_belongs_to_another_person,
            a_blocked_number_stays_blocked_whoever_writes_with_it,
            a_hidden_number_is_answered_for_thirty_days_and_then_the_user_id,
            the_last_seen_time_of_an_address_is_updated_once_a_day,
            an_unknown_part_is_looked_up_at_the_address_where_it_was_posted,
            a_person_has_a_user_id_with_each_account,
            a_user_id_of_two_accounts_of_one_business_is_known_through_both,
            a_user_id_blocked_by_an_operator_gets_its_account_from_the_first_message,
            an_answer_does_not_follow_a_number_that_goes_to_somebody_else_meanwhile,
            a_contact_has_the_latest_profile_name,
            a_contact_admitted_by_one_address_is_admitted_by_the_other,
        }
        $crate::promises! { $fresh, queue::jobs:
            jobs_are_listed_newest_first_by_state_and_page_by_page,
            the_backlog_counts_what_waits_to_be_claimed,
            the_statistics_count_what_is_in_progress_and_what_failed,
            a_dead_turn_is_answered_again_on_request,
            a_turn_is_not_answered_again_once_its_time_has_run_out,
            a_turn_is_not_answered_again_once_something_of_it_was_sent,
            a_turn_is_not_answered_again_once_the_conversation_has_gone_on,
            a_turn_answered_again_forgets_the_answer_that_was_not_sent,
            the_turn_behind_one_that_is_answered_again_waits_for_it,
            a_turn_is_discarded_while_it_waits,
            a_turn_whose_part_is_in_doubt_can_be_discarded,
        }
        $crate::promises! { $fresh, inbound::catch_up:
            our_addresses_of_an_account_are_those_that_contacts_wrote_to_through_it,
            a_missed_message_keeps_its_original_time_and_is_due_from_when_it_was_found,
            missed_messages_of_one_contact_are_one_turn_in_their_original_order,
            a_missed_message_that_is_too_old_is_stored_and_not_answered,
            a_stop_that_was_missed_is_obeyed_however_old_it_is,
            the_later_of_a_stop_and_a_start_counts_even_if_found_first,
            the_later_of_two_missed_keywords_in_one_burst_counts,
            a_missed_message_waits_behind_the_turn_that_is_being_answered,
            the_catch_up_position_is_remembered_with_its_beginning,
            messages_already_stored_are_recognized_by_id,
        }
        $crate::promises! { $fresh, operations::secrets: a_secret_is_kept_sealed_and_replaced, }
        $crate::promises! { $fresh, database::concurrent_writes:
            five_hundred_messages_at_once_are_all_stored,
            a_write_that_fails_does_not_undo_its_neighbours,
            a_caller_gets_its_answer_after_the_commit,
        }
        $crate::promises! { $fresh, contacts::opt_out_and_block:
            after_a_stop_nothing_is_sent_but_one_confirmation_until_a_start,
            a_stop_ends_what_is_being_answered_and_what_waits,
            a_stop_holds_back_what_is_still_to_be_posted,
            parts_in_flight_at_a_stop_are_settled_and_not_posted_again,
            at_a_stop_unknown_parts_are_looked_up_and_the_rest_held_back,
            the_confirmation_of_a_stop_is_posted_again_if_nothing_was_created,
            a_stop_or_block_of_one_contact_does_not_affect_another,
            a_stop_is_obeyed_and_confirmed_while_a_person_answers,
            the_pairing_code_is_no_start,
            a_blocked_contact_is_neither_answered_nor_written_to_until_the_block_is_taken_back,
            a_block_holds_back_what_is_still_to_be_posted,
            parts_in_flight_at_a_block_are_not_posted_again,
            a_requeued_turn_of_a_blocked_contact_is_skipped,
            somebody_can_be_blocked_before_they_ever_wrote,
            when_a_person_last_wrote_to_a_number_and_whether_they_may_be_written_to_is_told,
        }
        $crate::promises! { $fresh, inbound::admission:
            a_contact_above_the_rate_is_warned_once_and_answered_together_when_it_allows,
            a_text_of_our_own_raises_the_revision,
            a_turn_that_waited_for_another_waits_for_its_rate_too,
            a_stop_waits_for_no_rate_and_gets_only_its_confirmation,
            resets_above_the_rate_begin_nothing,
            a_reset_ends_the_conversation_it_is_answered_in,
            a_keyword_ends_the_merge_window_of_its_burst,
            the_later_of_two_keywords_in_one_burst_counts_unless_a_person_is_wanted,
            a_keyword_does_not_hurry_a_burst_above_the_rate_unless_it_is_stop,
            an_unknown_sender_is_refused_once_a_day,
            a_sender_who_opted_out_gets_no_refusal,
            a_stop_of_an_unknown_sender_is_obeyed_and_confirmed_until_their_start,
            a_stop_of_somebody_who_is_blocked_counts_once_they_are_not,
            a_sender_with_the_pairing_code_is_admitted_for_good,
            a_pairing_code_of_an_admitted_contact_is_left_to_the_person_who_answers,
            a_turn_that_has_just_begun_restarts_with_a_new_message_where_the_owner_wants_that,
        }
        $crate::promises! { $fresh, conversations::operator:
            an_operators_message_is_sent_without_a_model_and_pauses_the_assistant,
            an_operators_message_raises_the_revision,
            the_assistant_returns_so_long_after_the_operators_last_message,
            a_message_that_is_found_late_does_not_end_a_takeover,
            a_takeover_leaves_waiting_turns_to_the_person,
            a_contact_is_notified_of_a_takeover_if_anything_may_be_sent,
            a_reply_that_hands_over_takes_effect_with_it_and_calls_the_owner,
            a_hand_over_in_a_conversation_that_was_ended_meanwhile_tells_the_owner_alone,
            an_operators_message_waits_for_the_answer_being_sent_and_is_sent_once,
            a_keyword_that_joins_an_operators_turn_is_answered_after_it,
            a_keyword_that_waits_when_an_operator_writes_is_answered_after_them,
            a_request_for_a_person_in_an_ended_conversation_promises_none,
            a_question_that_joins_an_operators_turn_is_answered_after_it,
            a_question_that_an_operator_answers_meanwhile_is_left_to_the_operator,
            an_operator_cannot_write_where_nothing_may_be_sent,
            an_ended_conversation_is_followed_by_a_new_one_that_the_assistant_answers,
            conversations_are_listed_newest_first_and_page_by_page,
            a_turn_that_is_answered_again_is_left_to_the_person_who_has_taken_over,
            a_takeover_notice_keeps_its_text_when_it_is_sent_again,
            the_owners_alert_counts_each_takeover_once,
        }
        $crate::promises! { $fresh, operations::budget:
            a_call_is_reserved_with_its_claim_and_settled_with_its_reply,
            a_failed_call_is_counted_and_a_call_that_was_not_made_is_not,
            another_call_of_a_claim_is_reserved_like_the_first,
            a_reservation_is_settled_even_if_the_claim_is_lost,
            a_call_that_may_have_been_made_when_the_process_died_keeps_its_estimate,
            each_limit_holds_by_itself,
            a_day_ends_at_midnight_and_a_month_with_its_last_day,
            a_call_counts_for_the_day_of_its_claim_whenever_it_is_settled,
            turns_that_race_for_the_rest_of_a_budget_do_not_spend_it_twice,
            a_turn_waits_for_a_budget_that_is_full_of_calls_in_progress,
            a_turn_does_not_wait_for_a_used_up_budget_even_if_another_budget_may_free_up,
            a_turn_does_not_wait_for_reservations_of_a_dead_process,
            without_a_budget_nothing_is_counted,
            usage_is_deleted_by_whole_months,
        }
        $crate::promises! { $fresh, operations::retention:
            a_message_after_the_idle_time_begins_a_new_conversation_and_none_before,
            idle_conversations_end_unless_something_in_them_waits,
            more_idle_conversations_than_one_batch_holds_are_ended,
            ended_conversations_go_after_their_time_with_all_that_was_said,
            a_conversation_that_was_reset_goes_like_any_other,
            more_ended_conversations_than_one_batch_holds_are_deleted,
            lines_of_the_webhook_log_go_after_their_time,
        }
        $crate::promises! { $fresh, operations::schedule:
            a_job_that_never_ran_has_no_next_run,
            the_last_run_of_each_job_is_remembered_and_when_it_runs_next,
        }
        $crate::promises! { $fresh, operations::alerts:
            somebody_is_told_once_an_hour_with_a_count_and_when_it_is_well_again,
            a_message_is_tried_for_a_day_with_growing_waits_and_is_never_lost,
            a_message_is_claimed_by_one_process_and_by_another_only_after_its_death,
            without_a_way_nothing_is_queued_and_nothing_is_told_later,
            an_alert_is_counted_by_cause_and_subject_and_tells_the_latest,
            an_alert_is_kept_by_when_it_last_happened,
        }
        $crate::promises! { $fresh, inbound::attachments:
            text_read_from_attachments_is_in_their_messages,
            a_quoted_attachment_is_not_taken_for_one_of_the_message,
            files_of_one_message_keep_their_places,
            a_stale_worker_changes_nothing_of_an_attachment,
            the_latest_pictures_are_known_with_their_messages,
            attachments_go_with_their_conversation,
            the_pictures_of_an_album_are_one_turn,
            an_album_that_begins_beside_an_answer_is_one_turn,
            a_quoted_message_is_shown_with_its_text,
        }
        $crate::promises! { $fresh, operations::settings: a_setting_is_stored_replaced_and_taken_away, }
        $crate::promises! { $fresh, queue::random_walk: random_histories_keep_the_promises, }
        $crate::promises! { $fresh, conversations::pause:
            a_turn_is_paused_with_its_conversation_or_alone_where_that_has_ended,
        }
        $crate::promises! { $fresh, queue::loop_detection:
            repeated_texts_are_counted_over_conversations,
            only_the_last_message_of_a_burst_and_only_answered_turns_count_as_repeats,
            loop_detection_reads_at_most_256_turns,
            how_often_a_contact_was_answered_is_counted_over_conversations,
        }
        $crate::promises! { $fresh, outbound::operator_files:
            a_file_is_sent_with_its_caption_and_stands_in_the_history,
            the_text_with_a_document_is_sent_before_it,
            messages_beyond_the_parts_of_one_turn_are_sent_by_the_next,
            a_file_is_in_use_until_each_conversation_with_it_is_deleted,
            no_file_is_sent_where_nothing_may_be_sent,
            splitting_a_part_keeps_the_files_and_templates_of_the_parts_behind_it,
        }
        $crate::promises! { $fresh, outbound::template:
            a_template_goes_out_long_after_the_contact_wrote_and_leaves_the_assistant_as_it_was,
            a_template_does_not_hand_a_conversation_back,
            a_template_goes_to_the_conversation_that_goes_on_or_begins_a_new_one,
            a_template_goes_where_the_contact_last_wrote_from,
            a_reply_to_a_template_joins_its_conversation,
            no_template_is_sent_to_who_opted_out_or_is_blocked,
            a_template_that_cannot_be_sent_within_23_hours_ends_visibly,
            a_template_that_failed_is_sent_again_on_request,
            free_text_beside_a_template_keeps_its_own_deadline,
            an_unknown_template_is_looked_up_however_long_ago_the_contact_wrote,
            a_question_that_waits_when_a_template_is_sent_is_answered_after_it,
        }
        $crate::promises! { $fresh, conversations::short_ids: a_conversation_is_found_by_either_end_of_its_id, }
    };
}

/// Tests of one file: `room::noun`.
#[macro_export]
macro_rules! promises {
    ($fresh:path, $room:ident::$noun:ident: $($promise:ident,)*) => {
        mod $noun {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $promise() {
                    $crate::$room::$noun::$promise(&$fresh()).await;
                }
            )*
        }
    };
}
