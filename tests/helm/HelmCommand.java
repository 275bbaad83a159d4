import com.marcnuri.helm.Helm;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * HelmCommand CHART VALUES...: `helm lint --strict CHART`, its messages on standard output; then `helm template` with each
 * file of values: what it yields goes to VALUES.out, or what it says is wrong to VALUES.error. Status 1 where lint fails.
 */
public final class HelmCommand {
  public static void main(String[] arguments) throws IOException {
    Helm helm = new Helm(Path.of(arguments[0]));
    var lint = helm.lint().strict().call();
    lint.getMessages().forEach(System.out::println);
    for (int i = 1; i < arguments.length; i++) {
      template(helm, Path.of(arguments[i]));
    }
    System.exit(lint.isFailed() ? 1 : 0);
  }

  private static void template(Helm helm, Path values) throws IOException {
    try {
      String rendered = helm.template().withName("test").withNamespace("monitoring")
          .withKubeVersion("1.31.0").withValuesFile(values).call();
      Files.writeString(Path.of(values + ".out"), rendered);
    } catch (IllegalStateException error) {
      Files.writeString(Path.of(values + ".error"), error.getMessage());
    }
  }
}
