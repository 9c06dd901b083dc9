import { defineComponent, h, shallowRef, watch, type PropType, type VNode } from 'vue'
import { useChat } from '../composables/chat'
import type { Block, Options } from '../text/markdown'
import CodeBlock from './CodeBlock.vue'

type Mention = { user: string; name: string }

/** One block: drawn anew only when it is another one. */
const MdBlock = defineComponent({
  props: { block: { type: Object as PropType<Block>, required: true }, draw: { type: Function as PropType<(b: Block) => VNode>, required: true } },
  setup: props => () => props.draw(props.block),
})

/** Markdown as VNodes. While a reply streams in, only its last block is drawn anew. */
export default defineComponent({
  name: 'MarkdownText',
  props: {
    text: { type: String, required: true },
    mentions: { type: Array as PropType<Mention[]>, default: () => [] },
    module: { type: Object as PropType<typeof import('../text/markdown')>, required: true },
    mine: { type: Function as PropType<(user?: string) => boolean>, required: true },
  },
  emits: ['mention'],
  setup(props, { emit }) {
    const chat = useChat()
    const blocks = shallowRef<Block[]>([])
    const draw = shallowRef<(b: Block) => VNode>(() => h('p'))
    watch(() => props.text, text => { blocks.value = props.module.blocks(text, blocks.value) }, { immediate: true })
    watch(() => [JSON.stringify(props.mentions), chat.linkTarget.value], () => {
      const o: Options = {
        mentions: props.mentions, target: chat.linkTarget.value,
        code: (text, lang) => h(CodeBlock, { text, lang }),
        mention: (text, user) => h('button', {
          type: 'button', tabindex: -1, class: ['tp-mention', { 'is-me': props.mine(user) }],
          onClick: (e: Event) => { e.stopPropagation(); emit('mention', user) },
        }, text),
      }
      draw.value = block => {
        const drawn = props.module.renderBlock(block.token, o)
        return Array.isArray(drawn) ? h('p', drawn) : typeof drawn === 'string' ? h('p', drawn) : drawn
      }
    }, { immediate: true })
    return () => h('div', { dir: 'auto' }, blocks.value.map(b => h(MdBlock, { key: b.key, block: b, draw: draw.value })))
  },
})
