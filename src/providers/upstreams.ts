import type { Clock } from '../clock.ts'
import type { Config, UpstreamName } from '../config.ts'
import { fal } from './fal/fal.ts'
import { kling } from './kling/kling.ts'
import type { Provider, Upstream } from './provider.ts'
import { wavespeed } from './wavespeed.ts'

/** Every upstream that this gateway can speak to. */
export const upstreams: Partial<Record<UpstreamName, Upstream>> = { kling, fal, wavespeed }

/** Those that there are credentials for. */
export function openUpstreams(settings: Config['upstreams'], clock: Clock): Provider[] {
  return Object.values(upstreams).flatMap((upstream) => {
    const found = settings[upstream.name as UpstreamName]
    return found === undefined ? [] : [upstream.open({ baseUrl: upstream.defaultBaseUrl, ...found }, clock)]
  })
}
