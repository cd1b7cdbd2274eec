import type { FastifyReply } from 'fastify'
import type { Caller } from '../../accounts/authenticate.ts'
import type { Policy } from '../../policy/policy.ts'
import { type Audience, audienceOf } from '../audience.ts'
import { varyBy } from '../header.ts'
import { Prepared } from '../prepared.ts'
import type { Services } from '../services.ts'

type Answering<Answer> = (
  services: Services,
  caller: Caller | undefined,
  reply: FastifyReply,
  name?: string,
) => Promise<Prepared<Answer>>

/**
 * Answers about the catalogue. Without a key everybody gets the same, so it is made once for each policy and kept;
 * `name` tells apart what one operation answers, and is kept only where `make` did not throw.
 */
export function keptAnswer<Answer>(make: (audience: Audience, name: string) => Answer): Answering<Answer> {
  // by policy alone: each server has policies of its own, and its origin, catalogue and upstreams never change
  const kept = new WeakMap<Policy, Map<string, Prepared<Answer>>>()
  return async (services, caller, reply, name = '') => {
    varyBy(reply, 'authorization', 'x-api-key')
    if (caller !== undefined) {
      const prepared = new Prepared(make(audienceOf(services, caller), name))
      reply.header('cache-control', 'private, no-cache')
      return prepared
    }
    const policy = await services.policies.recent()
    const answers = kept.get(policy) ?? new Map<string, Prepared<Answer>>()
    kept.set(policy, answers)
    const { catalogue, origin, candidates, minMargin } = services
    const audience = { catalogue, policy, caller, origin: origin(), candidates, minMargin }
    const prepared = answers.get(name) ?? new Prepared(make(audience, name))
    answers.set(name, prepared)
    // what takes jobs may change at any second; who has the answer already is told so in a few bytes
    reply.header('cache-control', 'public, no-cache')
    return prepared
  }
}
