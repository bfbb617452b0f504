import DeliveryModel
import Foundation

/// SplitMix64: small, seeded, the same on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

enum Samples {
    static let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    static let p256dh = "B" + String(repeating: "A", count: 86)
    static let auth = String(repeating: "k", count: 22)

    /// Every field of `martlet.decision/1` that can stand beside a plan.
    static let full = """
        {"schema":"martlet.decision/1","id":"01JD3V6W2Q9X","user":{"id":"u-42","timezone":"Europe/Warsaw",\
        "locale":"pl-PL","email":"ada@example.com","phone":"+48600100200","push":[\
        {"platform":"apns","token":"00ff10aa","topic":"com.example.app"},{"platform":"fcm","token":"abc:DEF_1-2"},\
        {"platform":"webpush","endpoint":"https://push.example.com/v1/abc?x=1",\
        "keys":{"p256dh":"\(p256dh)","auth":"\(auth)"}}]},\
        "campaign":"cart-rescue","class":"marketing","priority":3,"not_before":"2026-11-21T18:00:00Z",\
        "expires_at":"2026-11-22T19:00:00+01:00","timing":{"mode":"local","at":"09:30"},"plan":[\
        {"channel":"sms","template":"cart-rescue","until":"click","within":"PT6H"},\
        {"channel":"push","template":"cart-rescue-reminder"}],\
        "context":{"cart_value":120.5,"visits_24h":3,"tier":"gold","member":true},"propensity":0.31,\
        "data":{"first_name":"Ada","items":[{"name":"Żółw","price":1}]},\
        "reward":{"open":0.05,"click":0.3,"conversion":1.5,"unsubscribe":-1,"complaint":-3.0,"window":"PT48H"},\
        "supersedes":"cart-rescue:u-42","trace":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",\
        "x-note":{"anything":[1,2]}}
        """

    /// Nothing but what is required.
    static let least = """
        {"schema":"martlet.decision/1","id":"d-1","user":{"id":"u-1"},"campaign":"welcome","class":"transactional",\
        "plan":[{"channel":"email","template":"welcome"}]}
        """

    static let arms = """
        {"schema":"martlet.decision/1","id":"d-2","user":{"id":"u-1"},"campaign":"welcome","class":"marketing",\
        "plan":null,"timing":{"mode":"optimize"},"arms":[\
        {"id":"sms-10","plan":[{"channel":"sms","template":"a"}],"cost":0.04},\
        {"id":"email-10","plan":[{"channel":"email","template":"b","until":"open","within":"P1D"},\
        {"channel":"push","template":"c"}]}]}
        """
}

extension JSONValue {
    /// This value with the place that `pointer` names set to `value`, or removed when that is nil.
    func replacing(_ pointer: String, with value: JSONValue?) -> JSONValue {
        let tokens = pointer.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map { token in
            String(token.replacing("~1", with: "/").replacing("~0", with: "~"))
        }
        return self.replacing(tokens[...], with: value) ?? .null
    }

    private func replacing(_ tokens: ArraySlice<String>, with value: JSONValue?) -> JSONValue? {
        guard let token = tokens.first else { return value }
        switch self {
        case .object(var object):
            object[token] = (object[token] ?? .null).replacing(tokens.dropFirst(), with: value)
            return .object(object)
        case .array(var elements):
            guard let index = Int(token), elements.indices.contains(index) else { return self }
            if let changed = elements[index].replacing(tokens.dropFirst(), with: value) {
                elements[index] = changed
            } else {
                elements.remove(at: index)
            }
            return .array(elements)
        default: return self
        }
    }

    /// A random value, at most `depth` levels deep.
    static func random(depth: Int, using generator: inout SeededGenerator) -> JSONValue {
        switch Int.random(in: 0..<(depth > 0 ? 8 : 6), using: &generator) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &generator))
        case 2:
            return .integer(
                Int64.random(in: .min ... .max, using: &generator) >> Int64.random(in: 0..<64, using: &generator))
        case 3: return .number(self.randomDouble(using: &generator))
        case 4, 5: return .string(self.randomText(using: &generator))
        case 6:
            return .array(
                (0..<Int.random(in: 0...4, using: &generator)).map { _ in
                    self.random(depth: depth - 1, using: &generator)
                })
        default:
            var object = JSONObject()
            for _ in 0..<Int.random(in: 0...4, using: &generator) {
                object[self.randomText(using: &generator)] = self.random(depth: depth - 1, using: &generator)
            }
            return .object(object)
        }
    }

    private static func randomDouble(using generator: inout SeededGenerator) -> Double {
        while true {
            let number = Double(bitPattern: generator.next())
            if number.isFinite { return number }
        }
    }

    private static func randomText(using generator: inout SeededGenerator) -> String {
        var text = ""
        for _ in 0..<Int.random(in: 0...12, using: &generator) {
            let highest: UInt32 = [0x20, 0x7F, 0x7FF, 0xFFFF, 0x10FFFF].randomElement(using: &generator) ?? 0x7F
            guard let scalar = Unicode.Scalar(UInt32.random(in: 0...highest, using: &generator)) else { continue }
            text.unicodeScalars.append(scalar)
        }
        return text
    }
}

/// Changes a text in a few random places.
func mutated(_ text: [UInt8], using generator: inout SeededGenerator) -> [UInt8] {
    let tokens = [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u00e9", "\\ud83d", "\\ude00", "\\ud83d\\ude00", "\\u0000", "0",
        "-",
        "1e999", "1e-999", "NaN", "null", "true", "\u{7}", " ", "\n", "é", "𝄞", "1.", ".5", "00", "+1", "E5", "\\x",
        "//",
        "\u{FEFF}", "123456789012345678901234567890", "2.5e3", "-0", "\"a\":1,\"a\":2,",
    ]
    var bytes = text
    for _ in 0..<Int.random(in: 1...3, using: &generator) where !bytes.isEmpty {
        let index = Int.random(in: 0..<bytes.count, using: &generator)
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: bytes[index] = UInt8.random(in: .min ... .max, using: &generator)
        case 1: bytes.remove(at: index)
        case 2: bytes.insert(contentsOf: (tokens.randomElement(using: &generator) ?? "").utf8, at: index)
        case 3: bytes.removeSubrange(index...)
        case 4: bytes.insert(contentsOf: bytes[index...].prefix(20), at: index)
        default:
            let token = tokens.randomElement(using: &generator) ?? ""
            bytes.replaceSubrange(index..<min(index + token.utf8.count, bytes.count), with: token.utf8)
        }
    }
    return bytes
}

/// Python from the tests' virtual environment.
enum PythonTool {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Runs a script of `Tests/DeliveryModelTests/Python` on `input` and returns what it wrote.
    static func run(_ script: String, input: String) throws -> String {
        let given = ProcessInfo.processInfo.environment["MARTLET_TEST_VENV"]
        let environment = given.map { URL(filePath: $0) } ?? Samples.repository.appending(path: ".deploy/venv")
        let python = environment.appending(path: "bin/python")
        guard FileManager.default.isExecutableFile(atPath: python.path()) else {
            throw Failure(description: "There is no \(python.path()): run deploy/test, or set MARTLET_TEST_VENV.")
        }
        let folder = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let inputFile = folder.appending(path: "input")
        try Data(input.utf8).write(to: inputFile)
        let process = Process()
        process.executableURL = python
        process.arguments = [
            Samples.repository.appending(path: "Tests/DeliveryModelTests/Python/\(script)").path(),
            Samples.repository.path(),
        ]
        process.standardInput = try FileHandle(forReadingFrom: inputFile)
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(description: "\(script) ended with status \(process.terminationStatus).")
        }
        return String(decoding: data, as: UTF8.self)
    }
}
