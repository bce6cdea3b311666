import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.util.List;

/** Serves MongoDB's wire protocol at HOST PORT, in memory, until it is killed. */
public class MongoOnLoopback {
    /** The oldest that today's clients talk to; of what came with it they use nothing against a server that stands alone. */
    private static final MongoVersion VERSION = new MongoVersion() {
        @Override
        public List<Integer> getVersionArray() {
            return List.of(4, 2, 0);
        }

        @Override
        public int getWireVersion() {
            return 8;
        }
    };

    public static void main(String[] arguments) {
        new MongoServer(new MemoryBackend().version(VERSION)).bind(arguments[0], Integer.parseInt(arguments[1]));
    }
}
