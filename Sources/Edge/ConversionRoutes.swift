import DeliveryModel
import Hummingbird
import Logging

/// `POST /v1/conversions`: what people did in the end, as only the producer knows it.
struct ConversionRoutes {
    let events: any EventLedger
    let logger: Logger

    func add(to routes: RouterGroup<EdgeContext>) {
        routes.post("conversions") { request, _ in try await self.post(request) }
    }

    private func post(_ request: Request) async throws -> Response {
        let texts: [[UInt8]]
        switch try await RequestItems.read(request, plural: "conversions") {
        case .refused(let response): return response
        case .texts(let items): texts = items
        }
        do throws(LedgerError) {
            return RequestItems.results(try await self.note(texts))
        } catch {
            return Problem.unavailable("the ledger", error.detail, self.logger)
        }
    }

    /// All at once: the ledger commits them in groups.
    private func note(_ texts: [[UInt8]]) async throws(LedgerError) -> [PostAnswer] {
        let results = await withTaskGroup(of: (Int, Result<PostAnswer, LedgerError>).self) { group in
            for (index, text) in texts.enumerated() {
                group.addTask {
                    do throws(LedgerError) {
                        return (index, .success(try await self.note(text)))
                    } catch {
                        return (index, .failure(error))
                    }
                }
            }
            return await group.reduce(into: [Int: Result<PostAnswer, LedgerError>]()) { $0[$1.0] = $1.1 }
        }
        var answers: [PostAnswer] = []
        for index in texts.indices {
            if let result = results[index] { answers.append(try result.get()) }
        }
        return answers
    }

    private func note(_ text: [UInt8]) async throws(LedgerError) -> PostAnswer {
        let conversion: Conversion
        do throws(DecisionRejections) {
            conversion = try Conversion.decode(text)
        } catch {
            return .rejected(error.all, id: error.id)
        }
        switch try await self.events.note(conversion.event) {
        case .noted: return .accepted(id: conversion.id)
        case .known: return .duplicate(id: conversion.id, isSameText: nil)
        case .missing: return .rejected([conversion.missing], id: conversion.id)
        }
    }
}
