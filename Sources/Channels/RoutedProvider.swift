import DeliveryModel

/// A provider with the `routing` of its file: all kinds have the same.
struct RoutedProvider: Provider {
    let base: any Provider
    let routing: ProviderRouting

    var name: String { self.base.name }
    var channel: ChannelKind { self.base.channel }
    var concurrency: Int { self.base.concurrency }

    func takes(_ target: PushTarget) -> Bool { self.base.takes(target) }

    func devicePolicy(_ template: String, locale: String?) -> DevicePolicy {
        self.base.devicePolicy(template, locale: locale)
    }

    func check() async -> ProviderCheck { await self.base.check() }

    func compose(_ request: CompositionRequest) throws(CompositionRefusal) -> any PreparedMessage {
        try self.base.compose(request)
    }
}
