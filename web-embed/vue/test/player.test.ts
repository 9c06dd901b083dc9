import { mount } from '@vue/test-utils'
import { expect, it, vi } from 'vitest'
import { computed } from 'vue'
import { player } from '../src/composables/player'
import { chatKey } from '../src/composables/chat'
import VideoPart from '../src/message/VideoPart.vue'

const voice = (seq: number, heard = false) => ({ key: `v${seq}`, seq, heard: () => heard, play: vi.fn<() => void>(), pause: vi.fn<() => void>() })

it('plays one sound at a time: a video pauses a voice, and a voice the video', async () => {
  const spoken = voice(1)
  player.register(spoken)
  player.started(spoken)
  const blob = new Blob(['not a film'], { type: 'video/mp4' })
  const video = mount(VideoPart, {
    props: { message: { key: 'm2', status: 'received' } as never, file: { name: 'film.mp4', mime: 'video/mp4', size: 10, blob } },
    global: { provide: { [chatKey as symbol]: { t: (k: string) => k, client: { files: {} }, features: computed(() => ({})) } } },
  })
  await video.find('button').trigger('click')
  await vi.waitFor(() => expect(video.find('video').exists()).toBe(true))
  const film = video.find('video')
  const paused = vi.spyOn(film.element, 'pause')
  await film.trigger('play')
  expect(spoken.pause).toHaveBeenCalledOnce()
  expect(paused).not.toHaveBeenCalled()

  player.started(spoken)
  expect(paused).toHaveBeenCalledOnce()
  video.unmount()
  player.remove(spoken.key)
})

it('goes on with the next voice that was not heard, and with none behind a video', () => {
  const [one, two, three] = [voice(1), voice(2, true), voice(3)]
  for (const v of [three, one, two]) player.register(v)
  player.started(one)
  player.ended(one)
  expect(two.play).not.toHaveBeenCalled()
  expect(three.play).toHaveBeenCalledOnce()

  player.started(one)
  player.started({ key: 'film', pause: () => {} })
  player.ended(one)
  expect(three.play).toHaveBeenCalledOnce()
  for (const v of [one, two, three]) player.remove(v.key)
})
