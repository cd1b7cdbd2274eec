import logUpdate from 'log-update'

export interface Progress {
  label: string
  status: string
  /** Elapsed share of the estimated time; 1 once it has ended. */
  share: number
  seconds: number
}

const width = 30

/** Draws one bar per job on a terminal; elsewhere prints a line whenever a job's status changes. */
export function createProgress(stream: NodeJS.WriteStream = process.stdout) {
  const jobs = new Map<string, Progress>()
  return {
    show(job: Progress): void {
      const hasChanged = jobs.get(job.label)?.status !== job.status
      jobs.set(job.label, job)
      if (stream.isTTY) logUpdate([...jobs.values()].map(bar).join('\n'))
      else if (hasChanged) stream.write(`${job.label}  ${job.status}  ${job.seconds.toFixed(1)} s\n`)
    },
    done(): void {
      if (stream.isTTY) logUpdate.done()
    },
  }
}

function bar({ label, status, share, seconds }: Progress): string {
  const filled = Math.round(width * share)
  return `${label.padEnd(44)} ${'█'.repeat(filled)}${'░'.repeat(width - filled)} ${status.padEnd(10)} ${seconds.toFixed(1).padStart(5)} s`
}
