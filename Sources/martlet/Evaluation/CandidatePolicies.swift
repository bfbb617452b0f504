// The policies that `--policy` can name.
import DeliveryModel
import Foundation
import Learning

enum CandidatePolicies {
    /// What is evaluated when nothing is said.
    static let usual = ["uniform", "best-fixed-hour", "vendor"]

    /// What `--policy` names, before any row is read.
    enum Choice {
        case logged
        case uniform
        case bestFixedHour
        case vendor
        case ready(any CandidatePolicy)

        func policy(_ rows: [LoggedRow]) -> any CandidatePolicy {
            switch self {
            case .logged: LoggedPolicy()
            case .uniform: UniformPolicy()
            case .bestFixedHour: FixedHourPolicy(foundOn: rows)
            case .vendor: VendorPolicy(foundOn: rows)
            case .ready(let policy): policy
            }
        }
    }

    /// - Parameter snapshot: Loads the fleet's own policy as it was at a snapshot; throws a sentence that says why it
    ///   cannot.
    static func choice(
        _ name: String, snapshot: (ModelKind, Int) async throws -> any CandidatePolicy
    ) async throws -> Choice {
        switch name {
        case "logged": return .logged
        case "uniform": return .uniform
        case "best-fixed-hour": return .bestFixedHour
        case "vendor": return .vendor
        default: break
        }
        if let kind = ModelKind.allCases.first(where: { name.hasPrefix("\($0.rawValue)@") }) {
            guard let number = Int(name.dropFirst("\(kind.rawValue)@v".count)), number > 0 else {
                throw CommandError("'\(name)': a snapshot is named like \(kind.rawValue)@v12")
            }
            return .ready(try await snapshot(kind, number))
        }
        guard FileManager.default.fileExists(atPath: name) else {
            throw CommandError(
                "'\(name)' is no policy and no file: use logged, \(self.usual.joined(separator: ", ")), rhythm@vN, arms@vN, "
                    + "or the path of a policy file")
        }
        do throws(PolicyFile.Problems) {
            return .ready(try PolicyFile.load(path: name))
        } catch {
            throw CommandError(error.description)
        }
    }
}
