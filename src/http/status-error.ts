import { ApiError, type ApiErrorCode } from '../errors.ts'

/** A refusal that HTTP has a status of its own for, under one of the documented codes. */
export class StatusError extends ApiError {
  readonly #status: number

  constructor(status: number, code: ApiErrorCode, message: string) {
    super(code, message)
    this.#status = status
  }

  override get status(): number {
    return this.#status
  }
}
