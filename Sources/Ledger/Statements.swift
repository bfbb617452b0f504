import PostgresClient

/// The statements, each in a file of its own under SQL/.
enum Statements {
    static let accept = statement("accept", PackageResources.accept_sql)
    static let known = statement("known", PackageResources.known_sql)
    static let claim = statement("claim", PackageResources.claim_sql)
    static let extend = statement("extend", PackageResources.extend_sql)
    static let open = statement("open", PackageResources.open_sql)
    static let close = statement("close", PackageResources.close_sql)
    static let resume = statement("resume", PackageResources.resume_sql)
    static let consent = statement("consent", PackageResources.consent_sql)
    static let note = statement("note", PackageResources.note_sql)
    static let receipt = statement("receipt", PackageResources.receipt_sql)
    static let receiptsDue = statement("receipts_due", PackageResources.receipts_due_sql)
    static let lookupTurn = statement("lookup_turn", PackageResources.lookup_turn_sql)
    static let lookupTake = statement("lookup_take", PackageResources.lookup_take_sql)
    static let lookupPutBack = statement("lookup_put_back", PackageResources.lookup_put_back_sql)
    static let feedbackAdd = statement("feedback_add", PackageResources.feedback_add_sql)
    static let feedbackStanding = statement("feedback_standing", PackageResources.feedback_standing_sql)
    static let addressWord = statement("address_word", PackageResources.address_word_sql)
    static let cancel = statement("cancel", PackageResources.cancel_sql)
    static let look = statement("look", PackageResources.look_sql)
    static let lookNear = statement("look_near", PackageResources.look_near_sql)
    static let balance = statement("balance", PackageResources.balance_sql)
    static let report = statement("report", PackageResources.report_sql)
    static let story = statement("story", PackageResources.story_sql)
    static let storyAttempts = statement("story_attempts", PackageResources.story_attempts_sql)
    static let storyEvents = statement("story_events", PackageResources.story_events_sql)
    static let deadList = statement("dead_list", PackageResources.dead_list_sql)
    static let deadSummary = statement("dead_summary", PackageResources.dead_summary_sql)
    static let deadRetry = statement("dead_retry", PackageResources.dead_retry_sql)
    static let deadDiscard = statement("dead_discard", PackageResources.dead_discard_sql)
    static let sight = statement("sight", PackageResources.sight_sql)
    static let rewardTake = statement("reward_take", PackageResources.reward_take_sql)
    static let rewardDecisions = statement("reward_decisions", PackageResources.reward_decisions_sql)
    static let rewardAttempts = statement("reward_attempts", PackageResources.reward_attempts_sql)
    static let rewardEvents = statement("reward_events", PackageResources.reward_events_sql)
    static let rewardSightings = statement("reward_sightings", PackageResources.reward_sightings_sql)
    static let rewardGive = statement("reward_give", PackageResources.reward_give_sql)
    static let rewardNext = statement("reward_next", PackageResources.reward_next_sql)
    static let rewardReached = statement("reward_reached", PackageResources.reward_reached_sql)
    static let openChoices = statement("open_choices", PackageResources.open_choices_sql)
    static let rewardSince = statement("reward_since", PackageResources.reward_since_sql)
    static let reach = statement("reach", PackageResources.reach_sql)
    static let revisionNext = statement("revision_next", PackageResources.revision_next_sql)
    static let rewardList = statement("reward_list", PackageResources.reward_list_sql)
    static let evaluationList = statement("evaluation_list", PackageResources.evaluation_list_sql)
    static let rewardPositions = statement(
        "reward_positions", Array("SELECT shard::int4, xid::text, place FROM reward_streams".utf8))
    static let rewardBefore = statement(
        "reward_before",
        Array(
            """
            SELECT shard::int4, xid::text, place FROM rewards
            WHERE shard = $1::int4 AND at < now() - $2::int8 * interval '1 millisecond'
            ORDER BY xid DESC, place DESC LIMIT 1
            """.utf8))
    static let rewardOrderLost = statement(
        "reward_order_lost",
        Array(
            """
            SELECT coalesce((SELECT xid FROM reward_streams ORDER BY xid DESC LIMIT 1), '0')
                   >= pg_snapshot_xmax(pg_current_snapshot())
            """.utf8))
    static let lease = statement("lease", PackageResources.lease_sql)
    static let snapshotPublish = statement("snapshot_publish", PackageResources.snapshot_publish_sql)
    static let snapshotThin = statement("snapshot_thin", PackageResources.snapshot_thin_sql)
    static let snapshotList = statement("snapshot_list", PackageResources.snapshot_list_sql)
    static let modelStanding = statement("model_standing", PackageResources.model_standing_sql)
    static let modelChange = statement("model_change", PackageResources.model_change_sql)
    static let recipient = statement("recipient", PackageResources.recipient_sql)
    static let shortLink = statement(
        "short_link",
        Array("SELECT decision, attempt::int4, link::int4, url FROM short_links WHERE code = $1::text".utf8))
    static let addressKey = statement("address_key", Array("SELECT value FROM fleet WHERE name = 'address_key'".utf8))

    private static func statement(_ name: String, _ sql: [UInt8]) -> PostgresStatement {
        PostgresStatement(name, String(decoding: sql, as: UTF8.self))
    }
}
