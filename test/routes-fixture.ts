import type { JobContext } from '../src/jobs/context.ts'
import type { Provider } from '../src/providers/provider.ts'

/** The parts of a job's context by which all jobs go to one provider. */
export function routesTo(
  provider: Provider,
): Pick<JobContext, 'candidates' | 'provider' | 'providers' | 'routeRecords' | 'medianMs' | 'isReachable'> {
  return {
    candidates: (_, { slug }) => [{ provider, route: { upstream: provider.name, model: slug } }],
    provider: (name) => (name === provider.name ? provider : undefined),
    providers: [provider],
    routeRecords: () => ({ succeeded: 0, failed: 0 }),
    medianMs: () => 60_000,
    isReachable: false,
  }
}
