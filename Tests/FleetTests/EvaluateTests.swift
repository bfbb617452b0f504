// `martlet evaluate`, over a ledger with decisions, rewards and choices in it.
import Foundation
import Testing

extension FleetTests {
    @Suite(.serialized) struct Evaluate {}
}

extension FleetTests.Evaluate {
    /// Two arms with logged probabilities, 24 hours, and people who answer to `b` in the evening. By SQL, since they are
    /// many; numbers repeat themselves without any generator.
    private static let rows = """
        CREATE TEMP TABLE facts AS
        SELECT n, 'd-' || n AS id, 'u-' || n % 300 AS person, n % 4 <> 0 AS is_b, (n * 7 + n / 24) % 24 AS hour,
               now() - (1 + n % 20) * interval '1 day' - n * interval '1 second' AS at,
               CASE WHEN n % 4 <> 0 THEN 0.75 ELSE 0.25 END AS p
        FROM generate_series(1, 2400) n;
        ALTER TABLE facts ADD is_hit boolean;
        UPDATE facts SET is_hit = (n * 37 + n / 13) % 100 < CASE WHEN is_b THEN 20 ELSE 8 END * CASE WHEN hour >= 17 THEN 2 ELSE 1 END;
        INSERT INTO decisions (id, shard, source, class, campaign, accepted_at, body)
        SELECT id, 3, 's/' || n, 'marketing', CASE WHEN n % 3 = 0 THEN 'news' ELSE 'cart' END, at, '{}' FROM facts;
        CREATE FUNCTION pg_temp.t(at timestamptz) RETURNS text LANGUAGE sql AS
            $$ SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;
        INSERT INTO rewards (decision, revision, shard, place, at, state, reward, digest, body)
        SELECT id, 1, 3, n, at + interval '12 hours', 'final', is_hit::int, '', convert_to(jsonb_build_object(
            'schema', 'martlet.reward/1', 'id', id || '#1', 'decision', id, 'user', person, 'campaign',
            CASE WHEN n % 3 = 0 THEN 'news' ELSE 'cart' END, 'revision', 1, 'state', 'final',
            'maturity', CASE WHEN n % 200 = 0 THEN 'censored' ELSE 'matured' END, 'reward', is_hit::int,
            'events', CASE WHEN is_hit THEN jsonb_build_array(jsonb_build_object(
                'type', 'click', 'at', pg_temp.t(at + hour * interval '1 hour'), 'verdict', 'human', 'p_human', 0.9))
                ELSE '[]' END,
            'intended', jsonb_build_object('arm', CASE WHEN is_b THEN 'b' ELSE 'a' END, 'channel', 'email'),
            'executed', jsonb_build_object('arm', CASE WHEN is_b THEN 'b' ELSE 'a' END, 'channel', 'email'),
            'diverged', '[]'::jsonb, 'propensity', jsonb_build_object('arm', CASE WHEN n % 300 = 7 THEN 0 ELSE p END),
            'candidates', jsonb_build_object('arms', '{"a":0.25,"b":0.75}'::jsonb),
            'context', jsonb_build_object('segment', '<i>s' || n % 2 || '</i>'), 'outcome', 'sent',
            'decided_at', pg_temp.t(at), 'window_closes_at', pg_temp.t(at + interval '12 hours'))::text, 'UTF8')
        FROM facts;
        -- A newer revision of one of them, which counts instead: nobody knows any more whether it arrived.
        INSERT INTO rewards (decision, revision, shard, place, at, state, reward, digest, body)
        SELECT decision, 2, 3, 9999, at, 'revised', 0, '',
            convert_to(replace(replace(replace(replace(convert_from(body, 'UTF8'), 'd-5#1', 'd-5#2'), '"revision": 1',
                '"revision": 2'), '"state": "final"', '"state": "revised"'), 'matured', 'censored'), 'UTF8')
        FROM rewards WHERE decision = 'd-5';
        INSERT INTO choices (decision, made_at, body)
        SELECT id, at, convert_to(CASE WHEN n % 500 = 11 THEN '{"schema":"martlet.choice/1","slot":7}' ELSE jsonb_build_object(
            'schema', 'martlet.choice/1', 'slot', jsonb_build_object('policy', 'rhythm@v2', 'first', pg_temp.t(at),
                'hours', (SELECT jsonb_agg(h) FROM generate_series(0, 23) h),
                'starts', (SELECT jsonb_agg(h * 3600) FROM generate_series(0, 23) h), 'chosen', hour, 'propensity', 1.0 / 24,
                'cohort', n % 300 < 30))::text END, 'UTF8')
        FROM facts WHERE n % 6 <> 5
        """

    @Test func anEvaluationIsMadeFromTheLedgerAlone() async throws {
        let world = try await Stage.shared.world()
        #expect(try await world.martlet("migrate").code == 0)
        let before = try await world.martlet("evaluate")
        #expect(
            before.code == 0 && before.out.hasPrefix("There are no matured decisions"), "\(before.out)\(before.err)")
        _ = try await world.query(Self.rows)

        let file = "\(world.folder)/policy.yaml"
        try "name: <always b>\ncampaigns:\n  cart: {arms: {b: 1}}\n".write(
            toFile: file, atomically: true, encoding: .utf8)
        let (page, numbers) = ("\(world.folder)/report.html", "\(world.folder)/report.json")
        let found = try await world.martlet(
            "evaluate", "--policy", "uniform", "--policy", "best-fixed-hour", "--policy", "vendor", "--policy", file,
            "--by", "segment", "--since", "2020-01-01T00:00:00Z", "--html", page, "--json", numbers)
        #expect(found.code == 0, "\(found.err)")
        #expect(found.out.contains("2,400 decisions were read"), "\(found.out)")
        #expect(found.out.contains("13 left out: nothing arrived, or nobody knows whether it did."))
        #expect(found.out.contains("left out: the record of the choice cannot be read."))
        #expect(found.out.contains("left out: the probability of the choice is 0 or next to it, or was not logged."))
        #expect(found.out.contains("Against the cohort that is always served at random"))

        let written = try String(contentsOfFile: numbers, encoding: .utf8)
        let json = JSON.parse(written)
        #expect(json["schema"].text == "martlet.evaluation/1")
        let policies = json["policies"].list
        #expect(policies.map { $0["name"].text } == ["uniform", "best-fixed-hour", "vendor", "<always b>"])
        // `b` brings more, and the evening does; a file that names one campaign says nothing about the other.
        func lift(_ index: Int) -> Double { policies[index]["estimates"]["dr"]["lift"].number ?? .nan }
        #expect(lift(0) < 0 && lift(1) > 0 && lift(3) > 0)
        #expect(policies[3]["undecided"].number ?? 0 > 700)
        #expect(policies[1]["without_choice"].number ?? 0 > 300)
        #expect(policies[0]["groups"].list.count == 2)
        #expect(json["left_out"]["noPropensity"].number == 8)

        let html = try String(contentsOfFile: page, encoding: .utf8)
        #expect(html.contains("&lt;always b&gt;") && html.contains("&lt;i&gt;s1&lt;/i&gt;") && !html.contains("<i>"))

        // The same again, to the last digit; another campaign; another target.
        let again = try await world.martlet(
            "evaluate", "--policy", "uniform", "--policy", "best-fixed-hour", "--policy", "vendor", "--policy", file,
            "--by", "segment", "--since", "2020-01-01T00:00:00Z", "--json", "-")
        let isSame = again.out == written + "\n"
        #expect(isSame)
        let news = try await world.martlet("evaluate", "--campaign", "news", "--target", "click", "--policy", "uniform")
        #expect(news.code == 0 && news.out.contains("800 decisions were read"), "\(news.out)\(news.err)")
        let thinned = try await world.martlet("evaluate", "--rows", "1000", "--policy", "logged")
        #expect(thinned.out.contains("of the people were kept"), "\(thinned.out)")
    }

    @Test func aPolicyThatCannotBeIsRefusedWithItsLine() async throws {
        let world = try await Stage.shared.world()
        #expect(try await world.martlet("migrate").code == 0)
        let file = "\(world.folder)/policy.yaml"
        for (text, words) in [
            ("campaigns:\n  cart:\n    arms: {a: -1, b: x}\n", ["policy.yaml:3: campaigns.cart.arms.a:", "arms.b"]),
            ("campaigns:\n  cart:\n    hours: {\"24\": 1, sun-9: 1}\n", ["policy.yaml:3: campaigns.cart.hours.24:"]),
            ("campaigns:\n  cart:\n    arm: {a: 1}\n", ["policy.yaml:3: campaigns.cart.arm:"]),
            ("campaigns:\n  cart:\n    arms: {a: 0}\n", ["above 0"]), ("name: x\n", ["campaigns: this key is missing"]),
            ("campaigns: {}\n", ["name at least one campaign"]), ("campaigns: [\n", ["this is not YAML"]),
        ] {
            try text.write(toFile: file, atomically: true, encoding: .utf8)
            let answer = try await world.martlet("evaluate", "--policy", file)
            #expect(answer.code != 0)
            for word in words { #expect(answer.err.contains(word), "\(answer.err)") }
        }
        let unknown = try await world.martlet("evaluate", "--policy", "best-hour")
        #expect(unknown.code != 0 && unknown.err.contains("'best-hour' is no policy and no file"))
        let snapshot = try await world.martlet("evaluate", "--policy", "rhythm@vx")
        #expect(snapshot.code != 0 && snapshot.err.contains("a snapshot is named like rhythm@v12"))
        let order = try await world.martlet("evaluate", "--since", "1d", "--until", "P3D")
        #expect(order.code != 0 && order.err.contains("--since must be before --until"))
    }
}
