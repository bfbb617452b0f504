import ArgumentParser
import ServiceLifecycle
@main struct M { static func main() {} }
