package import DeliveryModel

/// The story of one decision as JSON: what `GET /v1/decisions/{id}` answers. No address and no content is in it.
package enum StoryDocument {
    package static func json(_ story: Story) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { object in
            object.member("schema", "martlet.story/1")
            object.member("id", story.id)
            object.member("user", story.decision?.user.id)
            object.member("campaign", story.campaign)
            object.member("class", story.messageClass)
            object.member("source", story.source)
            object.member("shard", story.shard)
            object.member("accepted_at", story.acceptedAt)
            object.member("not_before", story.decision?.notBefore)
            object.member("expires_at", story.decision?.expiresAt)
            object.member("state", story.settlement?.state ?? "in_flight")
            if let end = story.settlement {
                object.member("reason", end.reason)
                object.member("settled_at", end.at)
                object.object("chosen") { chosen in
                    chosen.member("arm", end.arm)
                    chosen.member("propensity", end.propensity)
                    chosen.member("policy", end.policy)
                    chosen.member("seed", end.seed.map { String($0, radix: 16) })
                }
            }
            if let choice = story.choice { object.member("choice", rawJSON: ChoiceDocument.json(choice)) }
            if let open = story.open {
                object.member("due_at", open.dueAt)
                object.member("step", open.step)
                object.member("held_by", open.heldBy)
                object.member("held_until", open.heldUntil)
            }
            object.array("attempts") { list in
                for attempt in story.attempts { list.object { Self.write(attempt, into: &$0) } }
            }
            object.array("events") { list in
                for event in story.events {
                    list.object { item in
                        item.member("at", event.at)
                        item.member("kind", event.kind)
                        item.member("detail", event.detail)
                    }
                }
            }
        }
        return writer.bytes
    }

    package static func json(_ rejected: [RejectedEntry], id: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { object in
            object.member("schema", "martlet.story/1")
            object.member("id", id)
            object.member("state", "rejected")
            object.array("rejections") { list in
                for entry in rejected {
                    list.object { item in
                        item.member("entry", entry.entry)
                        item.member("source", entry.source)
                        item.member("at", entry.at)
                        item.array("problems") { problems in
                            for rejection in entry.rejections { problems.object { $0.members(of: rejection) } }
                        }
                    }
                }
            }
        }
        return writer.bytes
    }

    private static func write(_ attempt: Story.Attempt, into object: inout JSONWriter) {
        object.member("number", attempt.number)
        object.member("step", attempt.step)
        object.member("channel", attempt.channel)
        object.member("provider", attempt.provider)
        object.member("opened_at", attempt.openedAt)
        object.member("closed_at", attempt.closedAt)
        object.member("verdict", attempt.verdict)
        object.member("reason", attempt.reason)
        object.member("detail", attempt.detail)
        object.member("provider_message_id", attempt.providerMessageID)
    }
}
