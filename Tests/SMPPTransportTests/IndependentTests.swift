import Foundation
import LocalServers
import NIOPosix
import Simulators
import Testing

@testable import SMPPTransport

/// Our client against a centre that others wrote (smppy), and their client (smpplib) against our centre.
@Suite(.serialized, .timeLimit(.minutes(2))) struct IndependentTests {
    private static let server = #"""
        import asyncio, json, sys
        from smppy import Application
        from smppy.server import SmppProtocol
        port, out = int(sys.argv[1]), sys.argv[2]
        # It takes what one read brings for one unit, and loses the others: it gets them one by one.
        received, rest = SmppProtocol.data_received, {}
        def data_received(self, data):
            buffer = rest.get(self, b"") + data
            while len(buffer) >= 4 and len(buffer) >= (length := int.from_bytes(buffer[:4], "big")):
                received(self, buffer[:length])
                buffer = buffer[length:]
            rest[self] = buffer
        SmppProtocol.data_received = data_received
        class App(Application):
            async def handle_bound_client(self, client):
                plain = lambda value: value if isinstance(value, str) else value.decode()
                return client if (plain(client.system_id), plain(client.password)) == ("martlet", "secret") else None
            async def handle_unbound_client(self, client):
                open(out, "a").write(json.dumps({"unbound": True}) + "\n")
            async def handle_sms_received(self, client, source_number, dest_number, text):
                text = text if isinstance(text, str) else text.decode("latin-1")
                plain = lambda value: value if isinstance(value, str) else value.decode()
                open(out, "a").write(json.dumps({"from": plain(source_number), "to": plain(dest_number), "text": text}) + "\n")
                await client.send_sms(source=plain(dest_number), dest=plain(source_number), text="got: " + text)
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        App(name="smppy").run(loop=loop, host="127.0.0.1", port=port)
        """#

    private static let client = #"""
        import json, sys
        import smpplib.client, smpplib.consts, smpplib.gsm
        port = int(sys.argv[1])
        client = smpplib.client.Client("127.0.0.1", port, allow_unknown_opt_params=True)
        ids, receipts = [], []
        client.set_message_sent_handler(lambda pdu: ids.append(pdu.message_id.decode()))
        def received(pdu):
            receipts.append({"id": (pdu.receipted_message_id or b"").decode(), "state": pdu.message_state,
                "text": pdu.short_message.decode(), "class": pdu.esm_class})
            return 0
        client.set_message_received_handler(received)
        client.connect()
        client.bind_transceiver(system_id="martlet", password="secret")
        parts, coding, flag = smpplib.gsm.make_parts("hello " * 60)
        for part in parts:
            client.send_message(source_addr_ton=5, source_addr="Martlet", dest_addr_ton=1, dest_addr_npi=1,
                destination_addr="48600100200", short_message=part, data_coding=coding, esm_class=flag,
                registered_delivery=True)
        while len(receipts) < len(parts):
            client.read_once()
        client.unbind(); client.disconnect()
        print(json.dumps({"ids": ids, "receipts": receipts, "parts": len(parts)}))
        """#

    private func folder() throws -> String {
        try #require(
            FileManager.default.isExecutableFile(atPath: Repository.python),
            "\(Repository.python) is missing: run deploy/test once, or set MARTLET_TEST_VENV")
        let folder = NSTemporaryDirectory() + "smpp-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        return folder
    }

    private struct Line: Decodable {
        var from: String?
        var to: String?
        var text: String?
        var unbound: Bool?
    }

    @Test func aCentreThatOthersWroteTakesOurMessages() async throws {
        let folder = try self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Self.server.write(toFile: folder + "/server.py", atomically: true, encoding: .utf8)
        let port = try freePort()
        let server = try ChildProcess(
            [Repository.python, folder + "/server.py", "\(port)", folder + "/out"], stopSignal: "TERM",
            log: folder + "/log")
        try await eventually { LoopbackPort.answers(port) }
        let inbox = Inbox()
        // It reads one unit from what comes at once: a window of one.
        let client = SMPPClient(
            settings: SMPPSettings(
                host: "127.0.0.1", port: port, usesTLS: false, systemID: "martlet", password: "secret", window: 1,
                enquireMilliseconds: 2000),
            group: MultiThreadedEventLoopGroup.singleton, logger: silent, onDelivery: { inbox.take($0) })
        for number in 0..<5 {
            let result = await client.submit(message("number \(number)", to: "4860010020\(number)"))
            #expect(result.isAccepted, "\(result)")
        }
        try await eventually { inbox.messages.count == 5 }
        // It is asked whether it is still there meanwhile; not in the same write as the next message, see above.
        try await Task.sleep(for: .milliseconds(3000))
        #expect(await client.submit(message("after", to: "48600100209")).isAccepted)
        #expect(client.counts.binds == 1)
        await client.shutdown()
        func lines() -> [Line] {
            let text = (try? String(contentsOfFile: folder + "/out", encoding: .utf8)) ?? ""
            return text.split(separator: "\n").compactMap { try? JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
        }
        try await eventually { lines().contains { $0.unbound == true } }
        let sent = lines().filter { $0.text != nil }
        #expect(sent.map(\.text) == (0..<5).map { "number \($0)" } + ["after"])
        #expect(sent.first?.from == "Martlet" && sent.first?.to == "48600100200")
        #expect(inbox.messages.first.map { String(decoding: $0.text, as: UTF8.self) } == "got: number 0")
        #expect(inbox.receipts.isEmpty)
        await server.stop()
    }

    @Test func aClientThatOthersWroteReadsOurReceipts() async throws {
        let folder = try self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Self.client.write(toFile: folder + "/client.py", atomically: true, encoding: .utf8)
        let centre = SMPPSimulator()
        try await centre.start()
        let client = try ChildProcess(
            ["/bin/sh", "-c", "exec \(Repository.python) \(folder)/client.py \(centre.port) > \(folder)/out"],
            stopSignal: "TERM", log: folder + "/log")
        try await eventually { ((try? String(contentsOfFile: folder + "/out", encoding: .utf8)) ?? "").hasSuffix("\n") }
        struct Report: Decodable {
            struct Receipt: Decodable {
                var id: String
                var state: Int?
                var text: String
            }
            var ids: [String]
            var receipts: [Receipt]
            var parts: Int
        }
        let report = try JSONDecoder().decode(
            Report.self, from: Data(contentsOf: URL(fileURLWithPath: folder + "/out")))
        #expect(report.parts == 3 && report.ids.count == 3)
        #expect(Set(report.receipts.map { $0.id.trimmingCharacters(in: ["\0"]) }) == Set(report.ids))
        #expect(report.receipts.allSatisfy { $0.state == 2 && $0.text.contains("stat:DELIVRD") })
        #expect(centre.messages(limit: 10).count == 3)
        await client.stop()
        await centre.stop()
    }

    private func freePort() throws -> Int {
        for _ in 0..<1_000 {
            let port = Int.random(in: 20_000..<30_000)
            if LoopbackPort.isFree(port) { return port }
        }
        throw Surprise()
    }
}
