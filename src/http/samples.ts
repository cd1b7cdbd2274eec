import send from '@fastify/send'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ApiError } from '../errors.ts'
import { samplesFolder, samplesPath, sampleTypes } from '../samples/samples.ts'

/** The files that the samples of the docs name: for everybody, with validators and ranges. */
export function serveSamples(app: FastifyInstance): void {
  app.route({
    method: ['GET', 'HEAD'],
    url: `${samplesPath}:name`,
    exposeHeadRoute: false,
    handler: answerSample,
  })
}

async function answerSample(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { name } = request.params as { name: string }
  const type = Object.hasOwn(sampleTypes, name) ? sampleTypes[name] : undefined
  if (type === undefined) {
    const known = Object.keys(sampleTypes).join(', ')
    throw new ApiError('NOT_FOUND', `There is no such sample file. There are ${known}.`)
  }
  const { statusCode, headers, stream } = await send(request.raw, name, {
    root: samplesFolder,
    maxAge: '1 day',
  })
  return reply
    .status(statusCode)
    .headers(headers)
    .header('content-type', type)
    .header('x-content-type-options', 'nosniff')
    .send(stream)
}
