"""Hookline: webhooks for identity events, as a stream processor on Kafka. This is the map; it has no code.

    identity.* --> router --> hooks.deliveries --> sender --> POST
                     ^                               |
    hooks.config ----+-------------------------------+--> hooks.log --> health --> hooks.health
                                                     |
                                               hooks.retries: what waits

An *event* arrives; a *hook* wants it; a *job* asks for one delivery of one event to one hook; an *attempt* is one
POST; an *outcome* is the end of a job; a *report* is a hook's health; a *dead letter* is input nobody could read.

Start with `core/joining.py`, `core/attempts.py` and `core/health.py`: the rules of the three roles. Then
`kafka/router.py`, `kafka/sender.py` with `kafka/delivering.py`, and `kafka/health.py`: the loops around them.
"Follow one event" in the README walks the whole way. Imports go one way only, which a test enforces:

    cli, demo --> supervisor, wiring --> kafka | web --> settings, telemetry --> core

core/       the rules; nothing there waits, tells the time, rolls dice or talks to anybody
  records       everything that travels, the one source of `schemas/`; errors, catalogue, ids, moments beside it
  events        identity events in their three spellings; deadletters: what cannot be read
  hooks         hook records and the index by tenant and event; headers, egress, address_table, filters: their rules;
                hook_edits: changes that commands make to them; versions: which of them counts
  sealing       secrets at rest; hook_secrets, sealed_letters: where they stand; masking: what is shown of bodies
  joining       event + hooks --> jobs; bodies and jobs: what a job is made of
  attempts      what an answer means; retry: when to try again; signing: what a request is signed with
  dispatch      which job goes next: lane, one hook's jobs, with its breaker, rates and lines (order); pending: waits
  offsets       what may be committed; recent: ids seen lately; health: 24 hours of outcomes
  operations    what happens to a hook: it fails, recovers, gives a delivery up, is to be disabled
  replaying     what is sent again, and in which order; returning: what of the dead letters may go back
  opened        what lies in a network that the operator opens, in words
  samples       realistic payloads for commands and the demo; stories, payloads, entities, picks, hook_samples
kafka/      the edge to Kafka: topics (the one table), admin, differences, growth; clients, reader, publisher,
                committed; header_names: what aiokafka cannot read
                the way in: security (TLS, SASL), rights (the one table), permitted, refusals (in words)
  view          `hooks.config` in every role; audit: what the router alone does about them
  router        Faust, by the safe subset in agents, guarded by continuity; health likewise, with switching
  sender        aiokafka: flights (jobs under way), delivering (one go at one), partition, ended; retries and clock
  broker        a local Apache Kafka: broker_files, broker_jars, broker_lock, broker_ready, broker_failures
  following     reading for commands: hook_records, newest, reports, answers, originals, groups
  replaying     a run that can be killed: replay_choice, bookmarks, pace; dead_letters: reading and putting back
web/        the edge to HTTP: attempting, transport, bounded, failures; guard, resolving; receiver; status
settings    the only reader of the environment; telemetry: log lines and metrics
wiring      builds the clients and hands them to the roles; supervisor keeps roles running as processes
cli/        one file a command; demo/: `make demo`

"CONTRACT n" and "DESIGN n" in docstrings cite the numbered product contract and design that the code was written to.
"""
