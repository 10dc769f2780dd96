// Waits that always end: nothing in these programs may hang.

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** `promise`, or an error that names what did not happen within `ms`. */
export function within(ms, what, promise) {
  let timer
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within ${ms} ms`)), ms)
  })
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer))
}

/** Asks `probe` again and again until it returns something truthy. */
export async function until(ms, what, probe) {
  const end = Date.now() + ms
  for (;;) {
    const found = await probe()
    if (found) return found
    if (Date.now() > end) throw new Error(`${what}: not within ${ms} ms`)
    await sleep(10)
  }
}
