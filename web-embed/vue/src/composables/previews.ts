import type { LinkCard, TroupeClient } from '@troupe/client'

const known = new WeakMap<TroupeClient, Map<string, Promise<LinkCard | null>>>()

/** previews asks for each link once; without an answer there is no preview, and nobody is told. */
export function previews(client: TroupeClient, url: string): Promise<LinkCard | null> {
  let of = known.get(client)
  if (!of) known.set(client, of = new Map())
  let asked = of.get(url)
  if (!asked) {
    if (of.size > 500) of.clear()
    of.set(url, asked = client.linkPreview(url).catch(() => null))
  }
  return asked
}
