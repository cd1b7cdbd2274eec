import { createLogUpdate } from 'log-update'
import { printable } from './output.ts'

export interface Progress {
  label: string
  status: string
  /** Elapsed share of the estimated time; 1 once it has ended. */
  share: number
  seconds: number
}

const width = 30

/** Draws one bar per job on a terminal; elsewhere prints a line whenever a job's status changes. */
export function createProgress(stream: NodeJS.WriteStream) {
  const jobs = new Map<string, Progress>()
  const drawn = createLogUpdate(stream)
  return {
    show(shown: Progress): void {
      const job = { ...shown, label: printable(shown.label), status: printable(shown.status) }
      const hasChanged = jobs.get(job.label)?.status !== job.status
      jobs.set(job.label, job)
      if (stream.isTTY) drawn(bars([...jobs.values()]))
      else if (hasChanged) stream.write(`${job.label}  ${job.status}  ${job.seconds.toFixed(1)} s\n`)
    },
    done(): void {
      if (stream.isTTY) drawn.done()
    },
  }
}

function bars(jobs: Progress[]): string {
  const labelWidth = Math.max(...jobs.map(({ label }) => label.length))
  return jobs
    .map(({ label, status, share, seconds }) => {
      const filled = Math.round(width * share)
      const bar = '█'.repeat(filled) + '░'.repeat(width - filled)
      return `${label.padEnd(labelWidth)} ${bar} ${status.padEnd(10)} ${seconds.toFixed(1).padStart(5)} s`
    })
    .join('\n')
}
