// Prints llama.cpp's logits for given tokens as JSON, with one list per asked position; then the tokens that follow when
// the likeliest is taken COUNT times, and the smallest distance between the two likeliest on the way. See README.md.
//   logits MODEL.gguf CONTEXT "TOKEN TOKEN ..." "POSITION ..." COUNT
#include "llama.h"
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

static std::vector<int> numbers(const char * text) {
    std::istringstream stream(text);
    std::vector<int> values;
    for (int value; stream >> value;) values.push_back(value);
    return values;
}

int main(int argc, char ** argv) {
    if (argc != 6) return 2;
    llama_log_set([](ggml_log_level level, const char * text, void *) { if (level >= GGML_LOG_LEVEL_ERROR) fputs(text, stderr); }, nullptr);
    llama_backend_init();
    llama_model_params modelParams = llama_model_default_params();
    llama_model * model = llama_model_load_from_file(argv[1], modelParams);
    if (!model) return 1;

    // Everything in F32: keys and values too, and no fused attention.
    llama_context_params params = llama_context_default_params();
    params.n_ctx = (uint32_t) atoi(argv[2]);
    params.type_k = GGML_TYPE_F32;
    params.type_v = GGML_TYPE_F32;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    params.n_threads = params.n_threads_batch = 1;
    llama_context * context = llama_init_from_model(model, params);
    if (!context) return 1;

    std::vector<int> tokens = numbers(argv[3]), positions = numbers(argv[4]);
    llama_batch batch = llama_batch_init((int) tokens.size(), 0, 1);
    for (size_t i = 0; i < tokens.size(); i++) {
        batch.token[i] = tokens[i];
        batch.pos[i] = (int) i;
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = 0;
        batch.logits[i] = 1;
    }
    batch.n_tokens = (int) tokens.size();
    if (llama_decode(context, batch) != 0) return 1;

    int vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
    printf("{\"logits\":[");
    for (size_t i = 0; i < positions.size(); i++) {
        const float * logits = llama_get_logits_ith(context, positions[i]);
        printf("%s[", i ? "," : "");
        for (int j = 0; j < vocabulary; j++) printf("%s%.6g", j ? "," : "", logits[j]);
        printf("]");
    }
    printf("],\"continuation\":[");
    float margin = 1e9f;
    for (int i = 0, count = atoi(argv[5]); i < count; i++) {
        const float * logits = llama_get_logits_ith(context, -1);
        int best = 0, next = -1;
        for (int j = 1; j < vocabulary; j++) {
            if (logits[j] > logits[best]) { next = best; best = j; }
            else if (next < 0 || logits[j] > logits[next]) next = j;
        }
        if (logits[best] - logits[next] < margin) margin = logits[best] - logits[next];
        printf("%s%d", i ? "," : "", best);
        batch.n_tokens = 1;
        batch.token[0] = best;
        batch.pos[0] = (int) tokens.size() + i;
        batch.n_seq_id[0] = 1;
        batch.seq_id[0][0] = 0;
        batch.logits[0] = 1;
        if (llama_decode(context, batch) != 0) return 1;
    }
    printf("],\"margin\":%g}\n", margin);
    return 0;
}
