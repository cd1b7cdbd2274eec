import { indented, pythonLiteral } from './samples.ts'
import type { DocumentedModel } from './subject.ts'
import { fence, sections } from './text.ts'

/** Programs that submit the model's example and wait for the result, in three languages. */
export function modelSamples(model: DocumentedModel, origin: string): string {
  const body = { model: model.slug, input: model.current.example }
  return sections(
    fence('sh', curl(body, origin), 'curl'),
    fence('ts', typescript(body, origin), 'TypeScript'),
    fence('python', python(body, origin), 'Python'),
    'With curl, ask for the job with the `jobId` of the answer in `JOB_ID`. The file is in `output` once `status` is `completed`:',
    fence('sh', `curl "${origin}/v1/jobs/$JOB_ID" \\\n  -H "Authorization: Bearer $FILMGATE_API_KEY"`),
  ).trimEnd()
}

function curl(body: object, origin: string): string {
  return `curl -X POST ${origin}/v1/jobs/submit \\
  -H "Authorization: Bearer $FILMGATE_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '${indented(body, 1).replaceAll("'", "'\\''")}'`
}

function typescript(body: object, origin: string): string {
  return `async function call(path: string, init: RequestInit = {}) {
  const response = await fetch('${origin}' + path, {
    ...init,
    headers: {
      Authorization: \`Bearer \${process.env.FILMGATE_API_KEY}\`,
      'Content-Type': 'application/json',
    },
  })
  const answer = await response.json()
  if (!response.ok) throw new Error(\`\${answer.error.code}: \${answer.error.message}\`)
  return answer
}

const { jobId } = await call('/v1/jobs/submit', {
  method: 'POST',
  body: JSON.stringify(${indented(body, 1)}),
})

let job = await call(\`/v1/jobs/\${jobId}\`)
while (job.status === 'pending' || job.status === 'processing') {
  await new Promise((resolve) => setTimeout(resolve, 3000))
  job = await call(\`/v1/jobs/\${jobId}\`)
}
console.log(job.status === 'completed' ? job.output : job.error)`
}

function python(body: object, origin: string): string {
  return `import os
import time

import requests

session = requests.Session()
session.headers["Authorization"] = f"Bearer {os.environ['FILMGATE_API_KEY']}"


def call(method, path, **options):
    response = session.request(method, "${origin}" + path, timeout=60, **options)
    answer = response.json()
    if not response.ok:
        raise RuntimeError(f"{answer['error']['code']}: {answer['error']['message']}")
    return answer


submitted = call("POST", "/v1/jobs/submit", json=${pythonLiteral(body)})

job = call("GET", f"/v1/jobs/{submitted['jobId']}")
while job["status"] in ("pending", "processing"):
    time.sleep(3)
    job = call("GET", f"/v1/jobs/{submitted['jobId']}")
print(job["output"] if job["status"] == "completed" else job["error"])`
}
