# The reference of `run`: Sidekiq jobs that do nothing.
#
#   sidekiq -r ./noop.rb -c 10         a worker
#   ruby noop.rb COUNT < decision      enqueues so many with this payload
require 'json'
require 'sidekiq'

settings = { url: ENV.fetch('MARTLET_REDIS_URL') }
# As it comes (info) Sidekiq writes two lines for each job.
Sidekiq.logger.level = ENV.fetch('NOOP_LOG', 'info')
Sidekiq.configure_server { |config| config.redis = settings }
Sidekiq.configure_client { |config| config.redis = settings }

class Noop
  include Sidekiq::Worker

  def perform(_payload); end
end

if $PROGRAM_NAME == __FILE__
  payload = JSON.parse($stdin.read)
  ARGV[0].to_i.times.each_slice(1000) { |part| Sidekiq::Client.push_bulk('class' => Noop, 'args' => part.map { [payload] }) }
end
